/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share: the queue of asks, which one thread of its own works off by asking the
 * child, a piece of each in turn. An ask belongs to who waits for it and may be taken back at any time: the
 * thread touches it under the lock alone, and while it talks to the child it works with copies.
 *
 *   symbols.c  who asks and waits
 *   asker.c    the thread
 *   peer.c     the child
 *   module.c   files
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "collector/symbols/peer.h"
#include "collector/symbols/symbol_cache.h"

enum {
	QUESTION_MS = 10000, /* what one question may take; beyond it the child is taken to hang */
	START_MS = 5000,
	IDLE_MS = 30000,           /* without questions the child ends */
	RETRY_MS = 600000,         /* a module over which the child failed is left alone for so long */
	RESTART_MS = 10000,        /* and a child that could not be started */
	FILES_OPEN_MAX = 4096,     /* of all tables together */
	FILES_OF_TABLE_MAX = 1024, /* that are opened at a time; others of the table have no names */
	PIECE_FILES = 32,          /* an ask's share of a turn */
	PIECE_STACKS = 16,
};

struct file_key {
	uint64_t device, inode, size;
	int64_t mtime_ns;
};

/* A module with what only this room sees. All but references under the lock of symbols. */
struct module_file {
	struct module module; /* first */
	atomic_uint references;
	struct module_file *next; /* of those that are open */
	struct file_key key;
	unsigned users; /* tables; the file is open and the module listed while there are some */
	int fd;         /* -1: closed */
	bool known;     /* its id is final, and its loads are there if it has any */
	bool blind;     /* nobody could look into it: the next who reads a table tries again */
	uint32_t machine;
	struct wire_load *load;
	unsigned n_loads;
	int64_t bad_until_ns;
};

struct ask {
	struct ask *next;
	enum ask_kind { ASK_IDENTIFY, ASK_RESOLVE, ASK_UNWIND } kind;
	bool done;
	size_t at, n;              /* what comes next; of how many */
	struct module_file **file; /* ASK_IDENTIFY */
	/* ASK_RESOLVE: `order` are the places that are wanted, by module and address. */
	const struct module_place *place;
	const size_t *order;
	struct symbol **symbol;
	/* ASK_UNWIND */
	const struct module_table *table;
	const struct stack_copy *copy;
	struct stack *stack;
};

struct slot {
	struct module_file *file; /* a reference; NULL: empty */
	uint64_t used;
};

struct space_slot {
	uint64_t number; /* of the table; 0: empty */
	uint64_t used;
};

struct symbols {
	pthread_mutex_t lock;
	pthread_cond_t more, done; /* CLOCK_MONOTONIC */
	struct ask *first, **last;
	struct ask *current; /* at work; NULL where who asked is gone */
	bool closing;
	struct module_file *files; /* that tables have */
	size_t n_open;             /* of them, that are open */
	struct symbol_cache *cache;
	uint64_t last_number; /* of tables */
	struct symbols_status status;
	pthread_t thread;
	char *program;
	int question_ms, idle_ms;

	/* The thread's alone. */
	struct peer peer;
	struct slot slot[WIRE_SLOTS];
	struct space_slot space[WIRE_SPACES];
	uint64_t clock;
	int64_t start_again_ns;
	uint64_t bad_table; /* over whose stacks the child failed */
};

/* Puts an ask into the queue and waits until it is done, or the time; then nobody has it any more. */
void symbols_ask(struct symbols *symbols, struct ask *ask, int64_t until_monotonic_ns);

/* The thread, given symbols. */
void *asker_main(void *arg);

static inline struct module_file *module_file_of(struct module *module)
{
	return (struct module_file *)(void *)module;
}
