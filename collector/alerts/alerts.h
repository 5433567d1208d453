/* SPDX-License-Identifier: MIT */
/*
 * The rules of `alerts` against each tick. A rule fires where its condition held for its seconds, and clears
 * where it then did not hold for as long; of what is gone at once. Pure: values and times come from the
 * caller.
 *
 * What costs is one pass over the processes where a rule names some: their names are looked up in a table, so
 * the number of rules does not count.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/alerts/alert_rule.h"
#include "collector/sample/table.h"
#include "schema/board.h"

enum {
	ALERTS_MAX = NOTE_LINES_MAX,
	ALERT_NAMES = 256,
	ALERT_INSTANCES_MAX = BOARD_FIRING,
	ALERT_SLOTS = 8192
};

/* One that fires, or whose condition came to hold: of a rule, and of a process where the rule speaks of such.
 */
struct alert_instance {
	uint16_t rule;
	bool firing, seen;
	uint32_t pid;
	uint64_t start_ticks;
	int64_t since_ns; /* when the condition came to differ from `firing`; 0: it does not */
};

struct alert_sum {
	uint64_t count;
	int64_t value;
	bool known;
};

struct alerts {
	size_t n;
	struct alert_rule rule[ALERTS_MAX];
	uint64_t hash[ALERTS_MAX];
	struct alert_sum sum[ALERTS_MAX];
	/* First rule of a name plus one, and the next of the same name plus one; 0: none. */
	uint16_t by_name[ALERT_NAMES], next[ALERTS_MAX];
	bool names; /* some rule needs the pass */

	struct alert_instance *instance;
	size_t n_instances, cap_instances;
	uint16_t slot[ALERT_SLOTS]; /* of instances, plus one, by their hash */
	bool changed;               /* what fires, since alerts_save */
	uint64_t untracked;         /* conditions that hold and found no place, at the last tick */
};

/* text: `NAME firing METRIC VALUE OP LIMIT`, or cleared; pid 0 where the rule speaks of no single process. */
typedef void alerts_tell_fn(void *ctx, const struct alert_rule *rule, uint32_t pid, const char *text);

void alerts_deinit(struct alerts *alerts);

/* Other rules, as the note has them. Those that stay keep what they know; what fired for one that went is
 * cleared. */
void alerts_set(struct alerts *alerts, const struct note_text *note, alerts_tell_fn *tell, void *ctx);

void alerts_tick(struct alerts *alerts, const struct board_system *system, const struct process_table *table,
	int64_t now_ns, alerts_tell_fn *tell, void *ctx);

/* What fires, for the next collector: after alerts_set it goes on from there, and tells nothing twice. */
void alerts_save(struct alerts *alerts, struct board_firing *firing);
void alerts_restore(struct alerts *alerts, const struct board_firing *firing);
