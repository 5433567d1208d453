/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log, read for one thing: whom the OOM killer killed. What is said there stands before the
 * process ends, so whoever learns of an end drains the log and asks. It takes CAP_SYSLOG where
 * kernel.dmesg_restrict is set, and the first pid namespace: elsewhere nothing is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/proc/root.h"

enum { KMSG_KILLS = 256 };

struct kmsg_kill {
	uint32_t pid;    /* 0: none */
	bool taken;      /* its process is accounted for: what is said of it later is no new kill */
	int64_t time_ns; /* epoch */
};

struct kmsg {
	bool open; /* fd counts */
	int fd;
	bool current;                      /* all that was there at the start was read */
	struct kmsg_kill kill[KMSG_KILLS]; /* a ring */
	size_t next;
};

/* Opens the log from its oldest record; starts as all zero. 0 or -errno, and then kmsg_killed answers no. */
int kmsg_open(struct kmsg *kmsg, const struct proc_root *root);
void kmsg_close(struct kmsg *kmsg); /* also one that is not open */

/* Reads what is new, a bounded part of it; never waits. */
void kmsg_drain(struct kmsg *kmsg);

/* Takes in one record as read(2) gave it, at now_ns (epoch) and uptime_ns of the log's clock. */
void kmsg_take(struct kmsg *kmsg, const char *record, size_t len, int64_t now_ns, int64_t uptime_ns);

/*
 * Whether a process that had the pid from start_ns to end_ns (epoch; end_ns may be late) was killed for want
 * of memory. Says so once: the pid's next user is not meant.
 */
bool kmsg_killed(struct kmsg *kmsg, uint32_t pid, int64_t start_ns, int64_t end_ns);
