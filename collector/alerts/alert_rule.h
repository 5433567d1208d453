/* SPDX-License-Identifier: MIT */
/*
 * One rule of `alerts`: NAME SUBJECT METRIC OP VALUE [for SECONDS]. Pure.
 *
 *   SUBJECT  node, pid/N, by-name/X (the sum over all processes named X), each/X (every one of them);
 *            in X what would not be one word is \ooo
 *   METRIC   a key of the subject's `stat` or `rate`; of by-name/X also count
 *   OP       > >= < <= == !=
 *   VALUE    a number; of bytes with K M G T, of percents with two decimals and an optional %;
 *            a rate's may be negative
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/board.h"

enum alert_subject { ALERT_NODE, ALERT_PID, ALERT_BY_NAME, ALERT_EACH, N_ALERT_SUBJECTS };
enum alert_op { ALERT_GT, ALERT_GE, ALERT_LT, ALERT_LE, ALERT_EQ, ALERT_NE, N_ALERT_OPS };
enum { ALERT_FOR_MAX_S = 604800, ALERT_COUNT = -1, ALERT_NO_RATE = -1 };

/* Without holes that differ: two are the same rule where their bytes are the same. */
struct alert_rule {
	char name[NOTE_NAME_MAX + 1];
	char comm[BOARD_COMM]; /* of BY_NAME and EACH, the kernel's bytes, 0 behind them */
	uint32_t subject;      /* enum alert_subject */
	uint32_t pid;          /* of PID */
	int32_t metric;        /* of the subject's list; ALERT_COUNT */
	int32_t rate;          /* index among the rates of the list, with its window; ALERT_NO_RATE */
	uint32_t window;
	uint32_t op;
	int64_t limit; /* in the metric's unit */
	uint32_t for_s;
};

/* A line without its newline. 0, or -EINVAL or -ERANGE with the reason. */
int alert_rule_parse(struct span line, struct alert_rule *ret, struct err *err);

/* As it would be written, without newline; numbers in base units. */
void alert_rule_render(struct buf *out, const struct alert_rule *rule);

/* A note_line_fn. */
int alert_rule_line(struct span line, struct buf *out, struct err *err);

bool alert_rule_same(const struct alert_rule *a, const struct alert_rule *b);

/* Whether `value OP limit`. */
bool alert_rule_holds(const struct alert_rule *rule, int64_t value);

/* `METRIC VALUE OP LIMIT`, as an event has it; VALUE is - where value is NULL. */
void alert_rule_render_finding(struct buf *out, const struct alert_rule *rule, const int64_t *value);
