/* SPDX-License-Identifier: MIT */
/* In which cgroup a process is. */
#include "collector/sample/sampler.h"

#include "schema/base/clock.h"
#include "schema/base/num.h"

enum { CGROUP_SHORT = 4096, CGROUP_PATH = 40 };

static int read_cgroup(struct sampler *sampler, uint32_t pid, struct pid_cgroup *ret, char text[CGROUP_SHORT])
{
	char array[CGROUP_PATH];
	struct buf path = BUF_FIXED(array);
	size_t len;

	buf_put_u64(&path, pid);
	buf_puts(&path, "/cgroup");
	buf_putc(&path, '\0');
	int r = proc_read_short(sampler->root->proc, array, text, CGROUP_SHORT, &len);
	if (r != PROC_OK)
		return r;
	if (len < CGROUP_SHORT) {
		pid_cgroup_parse(ret, text, len);
		return PROC_OK;
	}
	/* A dozen hierarchies, and long paths. */
	buf_clear(&sampler->text);
	r = proc_read(sampler->root->proc, array, &sampler->text);
	if (r == PROC_OK)
		pid_cgroup_parse(ret, sampler->text.data, sampler->text.len);
	return r;
}

void sampler_expect_move(struct sampler *sampler, struct process *process)
{
	if (process->kernel_thread || process->cgroup_due)
		return;
	if (pid_list_add(&sampler->unplaced, process->pid))
		process->cgroup_due = true;
	else /* its turn comes */
		sampler->failures++;
}

void sampler_look_at_cgroup(struct sampler *sampler, struct process *process)
{
	struct board_process *shown = &process->shown;
	struct pid_cgroup cgroup;
	char text[CGROUP_SHORT];

	process->cgroup_due = false;
	process->cgroup_ns = clock_monotonic_ns();
	if (read_cgroup(sampler, process->pid, &cgroup, text) != PROC_OK)
		return;
	/* Entered before the old one is left: where they are the same it stays on the board. */
	uint64_t id = cgroups_enter(&sampler->cgroups, &cgroup);
	cgroups_leave(&sampler->cgroups, shown->cgroup);
	if (id == shown->cgroup)
		return;
	shown->cgroup = id;
	board_write_process(sampler->board, shown);
	board_push_event(
		sampler->board, (struct board_event) { BOARD_CGROUP, process->pid, shown->start_ticks });
}
