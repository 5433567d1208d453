/* SPDX-License-Identifier: MIT */
#include "schema/base/log.h"
#include "schema/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LINES_A_SECOND = 20 };

static struct {
	const char *program;
	enum log_level level;
	_Atomic int64_t second;
	atomic_uint lines;
	atomic_uint dropped;
} log_state = { .program = "memfs", .level = LOG_LEVEL_WARNING };

void log_set(const char *program, enum log_level level)
{
	log_state.program = program;
	log_state.level = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	/* syslog's priorities: err 3, warning 4, info 6, debug 7. */
	static const char priority[] = { '3', '4', '6', '7' };
	int saved = errno;
	char line[1024];
	va_list args;
	size_t n;
	int written;

	if (level > log_state.level)
		return;
	int64_t second = clock_monotonic_ns() / 1000000000;
	if (atomic_exchange(&log_state.second, second) != second)
		atomic_store(&log_state.lines, 0);
	if (atomic_fetch_add(&log_state.lines, 1) >= LINES_A_SECOND) {
		atomic_fetch_add(&log_state.dropped, 1);
		return;
	}
	unsigned dropped = atomic_exchange(&log_state.dropped, 0);
	written = snprintf(line, sizeof(line), "<%c>%s: ", priority[level], log_state.program);
	n = (size_t)written;
	if (dropped)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "(%u lines dropped) ", dropped);
	va_start(args, format);
	written = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	va_end(args);
	if (written > 0)
		n += (size_t)written < sizeof(line) - n - 1 ? (size_t)written : sizeof(line) - n - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0) {
		/* Nobody is left to tell. */
	}
	errno = saved;
}
