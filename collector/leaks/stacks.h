/* SPDX-License-Identifier: MIT */
/*
 * The stacks of blocks chosen at random in the mode `stacks`: the shim copies each into a ring, which is
 * emptied here, unwound and named while the process still has its modules. In a worker's thread.
 */
#pragma once

#include <glib.h>

#include "collector/leaks/namer.h"
#include "collector/leaks/tally.h"
#include "schema/shadow.h"

struct stack_call {
	uint64_t caller;       /* return address, in the process */
	uint64_t offset;       /* of it in the module */
	struct module *module; /* a reference; NULL: none */
	struct symbol *symbol; /* a reference; NULL: not found out */
};

/* A way through the code, which many blocks may have come. */
struct stack_path {
	char *folded;             /* `outermost;...;innermost` */
	unsigned users;           /* notes that have it */
	unsigned n;               /* at least 1 */
	struct stack_call call[]; /* innermost first */
};

struct stack_note {
	uint64_t number; /* of the sample that it is for */
	struct stack_path *path;
	uint32_t site; /* to count it for, by this edition of the lists (stack_sites.h); 0: none yet */
	uint64_t edition;
};

enum { STACKS_BYTES = 32 << 20 }; /* of the paths of one region; what is beyond counts as lost */

struct stacks {
	GHashTable *note; /* index of a sample: struct stack_note */
	GHashTable *path; /* a set of struct stack_path, each once */
	size_t bytes;     /* of the paths */
	uint64_t lost;    /* that could not be unwound, or kept */
};

void stacks_init(struct stacks *stacks);
void stacks_deinit(struct stacks *stacks);

/* The path is taken over, or freed where there is no room for it: false. What was noted of the sample before
 * is another block's, and goes. */
bool stacks_note(struct stacks *stacks, uint32_t sample, uint64_t number, struct stack_path *path);

/*
 * Takes what the ring has, and empties it where this is the collector that drives the region; others look at
 * it, and have of the stacks what was there when they looked. What cannot be unwound is dropped: its block is
 * shown by its caller alone.
 */
void stacks_drain(int fd, struct stacks *stacks, const struct namer *namer,
	const struct namer_process *process, bool drives, struct module_table *table);

/* Drops those of blocks that are not live any more, once they are many, or large. */
void stacks_tidy(struct stacks *stacks, const struct tally *tally);

/* The stack of a sample; NULL where it is not known. */
struct stack_note *stacks_find(const struct stacks *stacks, uint32_t sample, uint64_t number);
