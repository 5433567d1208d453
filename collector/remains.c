/* SPDX-License-Identifier: MIT */
#include "collector/remains.h"
#include "schema/base/array.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct end_reason end_reason_of(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return (struct end_reason) { END_SIGNAL, WTERMSIG(wait_status), WCOREDUMP(wait_status) };
	return (struct end_reason) { END_EXIT, WEXITSTATUS(wait_status), false };
}

void end_reason_put(struct buf *out, struct end_reason reason)
{
	const char *name;

	switch (reason.kind) {
	case END_EXIT:
		buf_printf(out, "exit %d", reason.number);
		break;
	case END_SIGNAL:
		buf_printf(out, "signal %d", reason.number);
		name = sigabbrev_np(reason.number);
		if (name)
			buf_printf(out, " SIG%s", name);
		if (reason.core)
			buf_puts(out, " core");
		break;
	case END_OOM:
		buf_puts(out, "oom");
		break;
	case END_UNKNOWN:
		buf_puts(out, "unknown");
		break;
	}
}

bool remains_are_brief(const struct remains *remains)
{
	bool well = remains->reason.kind == END_UNKNOWN ||
		    (remains->reason.kind == END_EXIT && remains->reason.number == 0);

	return remains->last.kernel_thread ||
	       (well && remains->end_ns - remains->last.start_ns < REMAINS_BRIEF_S * INT64_C(1000000000));
}

void remains_add(struct remains_batch *batch, const struct remains *remains)
{
	bool brief = remains_are_brief(remains);
	bool full = batch->n == REMAINS_MAX || (brief && batch->n_brief == REMAINS_BRIEF_MAX);
	struct remains *place = full ? NULL : array_push(&batch->remains, &batch->n, &batch->cap);

	if (!place) {
		batch->left_out++;
		free(remains->args);
		return;
	}
	batch->n_brief += brief;
	*place = *remains;
}

void remains_move(struct remains_batch *to, struct remains_batch *from)
{
	for (size_t i = 0; i < from->n; i++)
		remains_add(to, &from->remains[i]);
	to->left_out += from->left_out;
	from->n = from->n_brief = from->left_out = 0;
}

void remains_clear(struct remains_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		free(batch->remains[i].args);
	batch->n = batch->n_brief = 0;
}

void remains_deinit(struct remains_batch *batch)
{
	remains_clear(batch);
	free(batch->remains);
	*batch = (struct remains_batch) { 0 };
}
