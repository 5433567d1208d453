/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of a region between two counts: of each site its name, how its live bytes grew, and what
 * people were told of it. The growth of a site is told from its live bytes as that of a process is from its
 * memory (collector/alerts/growth.h): a cache that levels off is none.
 *
 * Workers use it under its lock; what waits for names waits with it.
 */
#pragma once

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/alerts/growth.h"
#include "collector/leaks/lists.h"
#include "collector/leaks/namer.h"
#include "collector/leaks/site_name.h"
#include "collector/leaks/stacks.h"
#include "collector/leaks/tally.h"
#include "schema/leak.h"

enum {
	BOOK_SITES = 16384, /* of one region; more are counted, and not followed */
	BOOK_PAST = 14,     /* samples for rate_1m */
	BOOK_PAST_S = 5,    /* between two of them */
	BOOK_WINDOW_S = 60, /* of rate_1m */
};

struct book_past {
	int64_t boot_ns; /* CLOCK_BOOTTIME; 0: none */
	uint64_t live_bytes;
};

struct book_site {
	uint32_t site;
	bool named, told_old;
	struct site_name name;
	struct growth_track growth;
	struct book_past past[BOOK_PAST]; /* a ring: the next goes to n_past % BOOK_PAST */
	uint32_t n_past;
};

struct book {
	pthread_mutex_t lock;
	GHashTable *sites;                /* site: struct book_site */
	struct book_past past[BOOK_PAST]; /* of all together */
	uint32_t n_past;
	struct module_table modules; /* of its process */
	struct stacks stacks;        /* of its samples */
	GHashTable *merged;          /* sites that are not the region's own (stack_sites.h) */
	GStringChunk *texts;         /* of all names */
	int64_t past_ns;             /* when the last samples for rates were taken */
	int64_t growth_due_ns;       /* when those for growth are */
	uint64_t growth_window_s;
};

void book_init(struct book *book);
void book_deinit(struct book *book); /* after book_close */
/* Lets the files of its process go: names that are not known by now stay unknown. Takes the lock. */
void book_close(struct book *book, const struct namer *namer);

/* That of a site, made if need be; NULL where there are too many, or no memory. The lock is held. */
struct book_site *book_get(struct book *book, uint32_t site);

/* Names the sites of a tally that have none yet. The lock is held. */
void book_name(struct book *book, const struct tally *tally, const struct table_places *places);

/* Finds out the functions of those that were named and not resolved yet, or by other lists. The lock is held,
 * and who waits for it waits for the namer. */
void book_resolve(struct book *book, const struct tally *tally, const struct namer *namer,
	const struct lists *lists, const struct namer_process *process);

/* Whether its blocks, of which the largest is that large, are what the runtime keeps to the end on purpose.
 */
bool book_is_runtime(const struct book_site *site, uint64_t largest_bytes);

/* What is new after a count, for people. */
struct book_telling {
	uint32_t site;
	enum { BOOK_OLD, BOOK_GROWS } what;
	uint64_t suspect_bytes, live_bytes, grown_from;
	int64_t rate; /* of BOOK_GROWS: bytes a second */
};
enum { BOOK_TELLINGS_MAX = 8 }; /* of one count: what is beyond comes with the next */

/*
 * Takes a count in. Sites whose suspects come to least_bytes, or that grew steadily by it over window_s, are
 * stored to be told, each once; least_bytes 0: none is. Returns how many. The lock is held.
 */
unsigned book_take(struct book *book, const struct tally *tally, int64_t now_boot_ns, uint64_t least_bytes,
	uint64_t window_s, struct book_telling ret_telling[static BOOK_TELLINGS_MAX]);

/* Bytes per second over the last minute, up to live_bytes now; LEAK_RATE_UNKNOWN while younger. The lock is
 * held. */
int64_t book_rate(const struct book_past past[static BOOK_PAST], uint64_t live_bytes, int64_t now_boot_ns);
