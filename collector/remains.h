/* SPDX-License-Identifier: MIT */
/*
 * What remains of processes that ended: how they ended and what they had last, on the way from the sampler to
 * the database. A batch is bounded, whatever dies: of those that nobody will ask for, few are kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/board.h"

enum end_kind { END_UNKNOWN, END_EXIT, END_SIGNAL, END_OOM };

struct end_reason {
	enum end_kind kind;
	int number; /* exit code, or signal */
	bool core;  /* it was dumped */
};

/* From a status as wait(2) gives it. */
struct end_reason end_reason_of(int wait_status);

/* "exit 3", "signal 11 SIGSEGV core", "signal 40" (of those without a name), "oom", "unknown". */
void end_reason_put(struct buf *out, struct end_reason reason);

enum { REMAINS_REASON_MAX = 48 }; /* room for any of these */

enum {
	REMAINS_MAX = 4096,      /* of a batch */
	REMAINS_BRIEF_MAX = 512, /* of these brief ones */
	REMAINS_BRIEF_S = 10,    /* what lived shorter and ended well, or nobody knows how, is brief */
	REMAINS_ARGS_MAX = 4096, /* bytes */
};

struct remains {
	struct board_process last; /* as last sampled; of one that never was: identity and ppid alone */
	int64_t end_ns;            /* epoch; where nobody saw it, when it was found to be gone */
	struct end_reason reason;
	bool sampled;
	bool has_comm, has_owner; /* also where it was not sampled */
	char *args;               /* escaped line, from malloc; NULL: never read */
};

/* Whether it makes place for others: a kernel's worker, or one that nobody had time to know and that ended
 * well. */
bool remains_are_brief(const struct remains *remains);

/* Starts as all zero. */
struct remains_batch {
	struct remains *remains;
	size_t n, cap, n_brief;
	uint64_t left_out; /* over the bounds, or without memory */
};

/* Appends and takes over the args; what there is no place for is counted. */
void remains_add(struct remains_batch *batch, const struct remains *remains);
/* Moves all of `from`, which is empty then, behind what `to` has. */
void remains_move(struct remains_batch *to, struct remains_batch *from);
void remains_clear(struct remains_batch *batch);  /* keeps its memory, and what was left out */
void remains_deinit(struct remains_batch *batch); /* leaves it empty */
