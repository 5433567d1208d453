/* SPDX-License-Identifier: MIT */
/*
 * What traced processes had, on its way into the database: their largest call sites minute by minute, and all
 * of it once they ended. Items wait in a list until a tick was written.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/leak.h"
#include "schema/store/store.h"

struct writer;

enum {
	LEAK_MINUTE_SITES = 16,     /* of a process */
	LEAK_MINUTES_KEPT = 200000, /* rows */
};

struct history_leaks {
	struct history_leaks *next;
	uint32_t pid, uid;
	uint64_t start_ticks;
	/* Of one that ended: */
	int64_t made_ns, end_ns; /* epoch */
	struct buf packed;       /* empty: this is a minute */
	/* Of a minute: numbers of sites, and where in `text` their names are. */
	int64_t minute;
	size_t n;
	struct store_leak_minute site[LEAK_MINUTE_SITES];
	struct {
		size_t module, symbol, build_id;
	} at[LEAK_MINUTE_SITES];
	struct buf text;
	/*
	 * In the recorder's thread: it is stored for good, or nobody wants it to be. NULL: nobody waits. Not
	 * called of what is given up when the recorder stops: it is told again to the next collector.
	 */
	void (*stored)(void *ctx);
	void *ctx;
};

void history_leaks_free(struct history_leaks *leaks); /* takes NULL */

/* Those that wait; starts as all zero. The lock is the owner's. */
struct leaks_queue {
	struct history_leaks *first, *last;
	unsigned n;
};
enum { LEAKS_QUEUE_MAX = 1024 /* of minutes */ };

/* Takes it over; a minute that finds too many before it is dropped. */
void leaks_queue_put(struct leaks_queue *queue, pthread_mutex_t *lock, struct history_leaks *leaks);
/* The first, which stays there; NULL: there is none. */
struct history_leaks *leaks_queue_first(struct leaks_queue *queue, pthread_mutex_t *lock);
void leaks_queue_drop(struct leaks_queue *queue, pthread_mutex_t *lock); /* the first */
void leaks_queue_deinit(struct leaks_queue *queue);

/* Takes names and build id of a site over into `text`. False where there is no room for another site. */
bool history_leaks_add(struct history_leaks *minute, const struct leak_site *site);

/* Stores one in a transaction of its own; as the store answers. */
int writer_put_leaks(struct writer *writer, struct history_leaks *leaks);

/* Within a transaction: lets go what is too old or too much. */
int writer_expire_leaks(struct writer *writer);
