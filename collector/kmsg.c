/* SPDX-License-Identifier: MIT */
#include "collector/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/proc/kmsg.h"

enum {
	RECORD_MAX = 8192,      /* CONSOLE_EXT_LOG_MAX: a shorter buffer gets EINVAL */
	RECORDS_A_DRAIN = 4096, /* the log has fewer, unless it is written faster than it is read */
};
static const ino_t first_pid_ns = 0xEFFFFFFC; /* the inode of that namespace: PROC_PID_INIT_INO */
static const int64_t second_ns = 1000000000;
/* The log's clock is not the one that start times are of, and may have gone away from it. */
static const int64_t slack_ns = 5 * second_ns;

int kmsg_open(struct kmsg *kmsg, const struct proc_root *root)
{
	struct stat ns;

	if (!root->real)
		return -ENOENT;
	/* The pids in the log are of the first namespace. */
	if (stat("/proc/self/ns/pid", &ns) != 0)
		return -errno;
	if (ns.st_ino != first_pid_ns)
		return -EXDEV;
	kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	kmsg->open = kmsg->fd >= 0;
	return kmsg->open ? 0 : -errno;
}

void kmsg_close(struct kmsg *kmsg)
{
	if (kmsg->open)
		close_fd(&kmsg->fd);
	kmsg->open = false;
}

/* Whether this is said once more of a kill that was taken in. The reaper may be late. */
static bool is_known(const struct kmsg *kmsg, const struct kmsg_oom *oom, int64_t time_ns)
{
	for (size_t i = 0; i < KMSG_KILLS; i++) {
		const struct kmsg_kill *kill = &kmsg->kill[i];
		if (kill->pid == oom->pid && (!kill->taken || oom->kind == KMSG_OOM_REAPED) &&
			time_ns - kill->time_ns < 60 * second_ns)
			return true;
	}
	return false;
}

void kmsg_take(struct kmsg *kmsg, const char *record, size_t len, int64_t now_ns, int64_t uptime_ns)
{
	struct kmsg_record parsed;
	struct kmsg_oom oom;

	if (!kmsg_record_parse(&parsed, record, len) || parsed.facility != 0 ||
		!kmsg_oom_parse(&oom, parsed.text))
		return;
	/* What is read as it is written happened now. */
	int64_t time_ns = now_ns;
	if (!kmsg->current && parsed.time_us < (uint64_t)uptime_ns / 1000)
		time_ns -= uptime_ns - (int64_t)parsed.time_us * 1000;
	if (is_known(kmsg, &oom, time_ns))
		return;
	kmsg->kill[kmsg->next] = (struct kmsg_kill) { .pid = oom.pid, .time_ns = time_ns };
	kmsg->next = (kmsg->next + 1) % KMSG_KILLS;
}

void kmsg_drain(struct kmsg *kmsg)
{
	char record[RECORD_MAX];
	int64_t now_ns = clock_realtime_ns(), uptime_ns = clock_monotonic_ns();

	if (!kmsg->open)
		return;
	for (int i = 0; i < RECORDS_A_DRAIN; i++) {
		ssize_t n = read(kmsg->fd, record, sizeof(record));
		if (n > 0) {
			kmsg_take(kmsg, record, (size_t)n, now_ns, uptime_ns);
		} else if (n < 0 && (errno == EPIPE || errno == EINVAL || errno == EINTR)) {
			/* Records were overwritten, or one is too long: the next read goes on behind. */
			continue;
		} else {
			kmsg->current = true;
			return;
		}
	}
}

bool kmsg_killed(struct kmsg *kmsg, uint32_t pid, int64_t start_ns, int64_t end_ns)
{
	for (size_t i = 0; i < KMSG_KILLS; i++) {
		struct kmsg_kill *kill = &kmsg->kill[i];
		if (kill->pid != pid || kill->taken || kill->time_ns < start_ns - slack_ns ||
			kill->time_ns > end_ns + slack_ns)
			continue;
		kill->taken = true;
		return true;
	}
	return false;
}
