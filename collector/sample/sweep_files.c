/* SPDX-License-Identifier: MIT */
/* The sweep that every kernel can answer: the statm of each process, and more only where that moved. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/sweep.h"
#include "schema/base/clock.h"

enum { ROUND_S = 9, STATUS_S = 60, DEEP_S = 60, CLOCK_EVERY = 64 };
static const int64_t second_ns = 1000000000;

/* Each process that has memory. The time of 64 is taken at once. */
static void look_at_statm(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	int64_t now_ns = 0;
	char text[PROCESS_STATM_MAX];

	for (size_t i = 0; i < table->n; i++) {
		struct process *process = table->live[i];
		/* Between two ticks they left the caches; while the kernel answers for this one the next
		 * arrive. */
		if (i + 1 < table->n) {
			__builtin_prefetch(table->live[i + 1]);
			__builtin_prefetch((const char *)table->live[i + 1] + 64);
		}
		if (i % CLOCK_EVERY == 0)
			now_ns = clock_monotonic_ns();
		if (process->statm_fd < 0) {
			if (!process->kernel_thread)
				sweep_look(sampler, process, LOOK_STATM | LOOK_STAT, NULL);
			else if (now_ns >= table->due_ns[i] || now_ns < process->watch_until_ns)
				sweep_look(sampler, process, LOOK_STAT, NULL);
			continue;
		}
		ssize_t n = pread(process->statm_fd, text, sizeof(text), 0);
		if (n < 0 && errno == ESRCH) {
			sweep_note_ended(sampler, process);
			continue;
		}
		if (n != process->statm_len || n == PROCESS_STATM_MAX ||
			memcmp(text, process->statm, (size_t)n) != 0) {
			sweep_look(sampler, process, LOOK_ALL, NULL);
		} else if (now_ns < process->watch_until_ns) {
			sweep_look(sampler, process, LOOK_STAT, NULL);
		} else if (now_ns >= table->due_ns[i]) {
			sweep_look(sampler, process, 0, NULL);
		} else {
			process->sample_ns = now_ns;
		}
	}
	sweep_bury_gone(sampler);
}

/* Whether none of its numbers moved for so long that it is asked as rarely for what statm does not show. The
 * name of a worker of the kernel is its work, and there are few of them. */
static bool sleeps_deep(const struct process *process, int64_t now_ns)
{
	return now_ns - process->still_since_ns >= DEEP_S * second_ns && !process->kernel_thread;
}

/* What statm does not show: state and faults in a round of ROUND_S, swap and owner of STATUS_S. */
static void give_turns(struct sampler *sampler)
{
	int64_t now_ns = clock_monotonic_ns();
	for (size_t due = sweep_turns_due(sampler, now_ns, ROUND_S); due; due--) {
		struct process *process = sweep_next_turn(sampler);
		bool deep = sleeps_deep(process, now_ns);
		int64_t cgroup_s = deep ? DEEP_S : SAMPLER_CGROUP_S, stat_s = deep ? DEEP_S : 1;
		if (!process->kernel_thread && now_ns - process->cgroup_ns >= cgroup_s * second_ns)
			sampler_look_at_cgroup(sampler, process);
		if (now_ns - process->status_ns >= STATUS_S * second_ns)
			sweep_look(sampler, process, LOOK_ALL, NULL);
		else if (now_ns - process->stat_ns >= stat_s * second_ns)
			sweep_look(sampler, process, LOOK_STAT, NULL);
	}
	sweep_bury_gone(sampler);
}

void sweep_files(struct sampler *sampler)
{
	sweep_place(sampler);
	look_at_statm(sampler);
	give_turns(sampler);
}
