/* SPDX-License-Identifier: MIT */
/* Whose a region is: the process that offered it, or had it, or was it. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/leaks/regions_inner.h"
#include "schema/base/cleanup.h"
#include "schema/base/num.h"
#include "schema/proc/pid_stat.h"

enum { SECOND_NS = 1000000000 };

bool region_identify(int dir, struct region_process *ret)
{
	struct region_process process = *ret;
	struct pid_stat stat;
	char text[1024];
	size_t len;
	uid_t uid;
	gid_t gid;

	if (proc_read_short(dir, "stat", text, sizeof(text), &len) != PROC_OK ||
		!pid_stat_parse(&stat, text, len) || proc_read_owner(dir, &uid, &gid) != PROC_OK)
		return false;
	process.start_ticks = stat.start_ticks;
	process.image = pid_stat_image(text, len);
	/* A zombie's files are root's, whosever it was. */
	if (!pid_stat_ended(stat.state))
		process.uid = uid;
	*ret = process;
	return true;
}

bool region_may_be_of(const struct regions *regions, const struct region *region, uint64_t start_ticks)
{
	uint64_t start_ns = start_ticks * (SECOND_NS / regions->ticks_per_second);

	return !region->ready || start_ns <= region->fixed.created_boot_ns;
}

uint32_t region_own_pid(int dir)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span key, value, word;
	uint64_t pid = 0;

	if (proc_read(dir, "status", &text) != PROC_OK)
		return 0;
	for (struct kv_cursor cursor = kv_begin_lines(text.data, text.len); kv_next(&cursor, &key, &value);) {
		if (!span_equals(key, "NSpid"))
			continue;
		while (span_word(&value, &word))
			if (!num_parse_whole(word.p, word.n, &pid))
				return 0;
		break;
	}
	return pid <= UINT32_MAX ? (uint32_t)pid : 0;
}

/* A pid that has come to another process meanwhile is told by the descriptor that came with the offer (Linux
 * 6.5), else by its start, which is later than the region's. */
bool regions_find_process(struct regions *regions, struct region *region, struct region_meeting *meeting)
{
	CLEANUP_CLOSE int dir = -1;
	struct region_process process = { meeting->pid, meeting->uid, meeting->start_ticks, 0 };

	region->process = process;
	if (meeting->gone)
		return false;
	bool pinned = meeting->pidfd >= 0;
	if (!pinned)
		meeting->pidfd = (int)syscall(SYS_pidfd_open, meeting->pid, 0);
	bool there = meeting->pidfd >= 0 && proc_open_pid(regions->options.root, meeting->pid, &dir) == PROC_OK &&
		     region_identify(dir, &process) &&
		     (pinned || region_may_be_of(regions, region, process.start_ticks)) &&
		     /* So what was read is of that process: it is there, if only to be reaped. */
		     (!syscall(SYS_pidfd_send_signal, meeting->pidfd, 0, NULL, 0) || errno == EPERM);
	if (there)
		region->process = process;
	else
		close_fd(&meeting->pidfd);
	return there;
}

bool regions_find_held(struct regions *regions, struct region *region, struct region_meeting *meeting)
{
	const struct holding_note *note = meeting->note;
	struct region_process then = { note->pid, note->uid, note->start_ticks, note->image };
	bool there = note->end != REGION_DIED && regions_find_process(regions, region, meeting) &&
		     region->process.start_ticks == note->start_ticks;

	region->process = then;
	if (!there)
		close_fd(&meeting->pidfd);
	return there;
}

bool regions_name(const struct regions *regions, struct region *region)
{
	struct region_process *process = &region->process;
	const struct process *known = process_find(&regions->options.sampler->table, process->pid);

	if (process->start_ticks)
		return true;
	if (known && known->shown.start_ticks && region_may_be_of(regions, region, known->shown.start_ticks)) {
		process->start_ticks = known->shown.start_ticks;
		return true;
	}
	for (uint64_t i = regions->n_ends; i-- > 0 && i + REGIONS_ENDS >= regions->n_ends;) {
		const struct regions_end *end = &regions->ends[i % REGIONS_ENDS];
		if (end->pid == process->pid && region_may_be_of(regions, region, end->start_ticks) &&
			region->fixed.created_boot_ns <= (uint64_t)end->end_boot_ns) {
			process->start_ticks = end->start_ticks;
			return true;
		}
	}
	return false;
}
