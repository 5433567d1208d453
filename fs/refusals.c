/* SPDX-License-Identifier: MIT */
#include "fs/refusals.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/keep.h"
#include "fs/render.h"
#include "schema/base/clock.h"

enum { SHOWN = 100 };
#define NO_SESSION UINT32_MAX

struct refusals {
	struct keep *keep;
	pthread_mutex_t lock;
};

int refusals_new(struct keep *keep, struct refusals **ret)
{
	struct refusals *refusals = calloc(1, sizeof(*refusals));

	if (!refusals)
		return -ENOMEM;
	refusals->keep = keep;
	pthread_mutex_init(&refusals->lock, NULL);
	*ret = refusals;
	return 0;
}

void refusals_free(struct refusals *refusals)
{
	if (refusals)
		pthread_mutex_destroy(&refusals->lock);
	free(refusals);
}

/*
 * The login session of a thread; NO_SESSION where the mount cannot see it. 0 is a session as others are: that
 * of whoever init started without one, and of all whose leader is outside of this pid namespace.
 */
static uint32_t session_of(pid_t pid)
{
	pid_t session = pid > 0 ? getsid(pid) : -1;
	return session >= 0 ? (uint32_t)session : NO_SESSION;
}

static void copy_escaped(char *out, size_t cap, const char *bytes, size_t n)
{
	struct buf buf = { .data = out, .cap = cap - 1, .fixed = true };

	for (size_t i = 0; i < n && !buf.failed; i++)
		buf_put_escaped(&buf, bytes + i, 1);
	out[buf.len] = 0;
}

void refusals_add(struct refusals *refusals, const struct caller *caller, const char *path,
	const char *written, size_t written_len, const struct err *err)
{
	pthread_mutex_lock(&refusals->lock);
	uint64_t n = refusals->keep->n_refusals;
	struct keep_refusal *refusal = &refusals->keep->refusal[n % KEEP_REFUSALS];
	if (written_len && written[written_len - 1] == '\n')
		written_len--;
	refusal->time_ns = clock_realtime_ns();
	refusal->uid = caller->uid;
	refusal->pid = (uint32_t)caller->pid;
	refusal->session = session_of(caller->pid);
	refusal->error = err->code;
	copy_escaped(refusal->path, sizeof(refusal->path), path, strlen(path));
	copy_escaped(refusal->written, sizeof(refusal->written), written, written_len);
	copy_escaped(refusal->reason, sizeof(refusal->reason), err->reason, strlen(err->reason));
	atomic_store_explicit(&refusals->keep->n_refusals, n + 1, memory_order_release);
	pthread_mutex_unlock(&refusals->lock);
}

static void put_text(struct buf *out, const char *text, size_t cap)
{
	buf_put(out, text, strnlen(text, cap));
}

void refusals_render(struct refusals *refusals, const struct caller *reader, struct buf *out)
{
	buf_puts(out, "time\tuid\tpid\tpath\terrno\treason\n");
	pthread_mutex_lock(&refusals->lock);
	uint64_t n = refusals->keep->n_refusals;
	for (uint64_t i = n > SHOWN ? n - SHOWN : 0; i < n; i++) {
		const struct keep_refusal *refusal = &refusals->keep->refusal[i % KEEP_REFUSALS];
		if (reader->uid && reader->uid != refusal->uid)
			continue;
		render_time(out, refusal->time_ns);
		buf_printf(out, "\t%u\t%u\t", refusal->uid, refusal->pid);
		put_text(out, refusal->path, sizeof(refusal->path));
		buf_printf(out, "\t%s\t", err_name(refusal->error));
		put_text(out, refusal->reason, sizeof(refusal->reason));
		buf_putc(out, '\n');
	}
	pthread_mutex_unlock(&refusals->lock);
}

void refusals_render_why(struct refusals *refusals, const struct caller *reader, struct buf *out)
{
	uint32_t session = session_of(reader->pid);

	pthread_mutex_lock(&refusals->lock);
	uint64_t n = refusals->keep->n_refusals;
	uint64_t oldest = n > KEEP_REFUSALS ? n - KEEP_REFUSALS : 0;
	while (session != NO_SESSION && n-- > oldest) {
		const struct keep_refusal *refusal = &refusals->keep->refusal[n % KEEP_REFUSALS];
		if (refusal->session != session || (reader->uid && reader->uid != refusal->uid))
			continue;
		buf_puts(out, "time ");
		render_time(out, refusal->time_ns);
		buf_puts(out, "\npath ");
		put_text(out, refusal->path, sizeof(refusal->path));
		buf_puts(out, "\nwritten ");
		put_text(out, refusal->written, sizeof(refusal->written));
		buf_printf(out, "\nerrno %s\nreason ", err_name(refusal->error));
		put_text(out, refusal->reason, sizeof(refusal->reason));
		buf_putc(out, '\n');
		break;
	}
	pthread_mutex_unlock(&refusals->lock);
}
