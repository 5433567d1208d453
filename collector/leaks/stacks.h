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

struct stack_note {
	uint64_t number; /* of the sample that it is for */
	char *folded;    /* `outermost;...;innermost` */
	uint32_t site;   /* to count it for, by this edition of the lists (stack_sites.h); 0: none yet */
	uint64_t edition;
	unsigned n;               /* at least 1 */
	struct stack_call call[]; /* innermost first */
};

/* index of a sample: struct stack_note */
GHashTable *stacks_new(void);

/*
 * Takes what the ring has, and empties it where this is the collector that drives the region; others look at
 * it, and have of the stacks what was there when they looked. What cannot be unwound is dropped: its block is
 * shown by its caller alone.
 */
void stacks_drain(int fd, GHashTable *stacks, const struct namer *namer, const struct namer_process *process,
	bool drives, struct module_table *table);

/* Drops those of blocks that are not live any more, once they are many. */
void stacks_tidy(GHashTable *stacks, const struct tally *tally);

/* The stack of a sample; NULL where it is not known. */
struct stack_note *stacks_find(GHashTable *stacks, uint32_t sample, uint64_t number);
