/* SPDX-License-Identifier: MIT */
/*
 * One line a message on standard error, with the priority prefix that journald reads. Only main programs and
 * the loops they own log; libraries return.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The level is the only mutable state of file scope in memfs. Set once, before threads start. */
void log_set(const char *program, enum log_level level);

/*
 * Writes the line in one write(2); no newline in format. Keeps errno. At most 20 lines a second: what is over
 * is counted and told with the next line that passes.
 */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
