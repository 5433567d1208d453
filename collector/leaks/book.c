/* SPDX-License-Identifier: MIT */
#include "collector/leaks/book.h"

#include <stdlib.h>
#include <string.h>

#include "collector/leaks/stack_sites.h"
#include "collector/symbols/noise.h"
#include "schema/base/cleanup.h"

static const int64_t second_ns = 1000000000, slack_ns = 50000000; /* ticks jitter */

void book_init(struct book *book)
{
	*book = (struct book) { .sites = g_hash_table_new_full(NULL, NULL, NULL, free),
		.merged = stack_sites_new(),
		.texts = g_string_chunk_new(4096) };
	stacks_init(&book->stacks);
	pthread_mutex_init(&book->lock, NULL);
}

void book_deinit(struct book *book)
{
	g_hash_table_destroy(book->sites);
	stacks_deinit(&book->stacks);
	g_hash_table_destroy(book->merged);
	g_string_chunk_free(book->texts);
	pthread_mutex_destroy(&book->lock);
}

static struct book_site *find(struct book *book, uint32_t site)
{
	return g_hash_table_lookup(book->sites, GUINT_TO_POINTER(site));
}

struct book_site *book_get(struct book *book, uint32_t site)
{
	struct book_site *found = find(book, site);

	if (found || g_hash_table_size(book->sites) >= BOOK_SITES)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->site = site;
	g_hash_table_insert(book->sites, GUINT_TO_POINTER(site), found);
	return found;
}

void book_name(struct book *book, const struct tally *tally, const struct table_places *places)
{
	for (size_t i = 0; i < tally->n; i++) {
		struct book_site *site = book_get(book, tally->site[i].site);
		if (!site || site->named)
			continue;
		site_name_read(places, site->site, book->texts, &site->name);
		site->named = true;
	}
}

void book_close(struct book *book, const struct namer *namer)
{
	pthread_mutex_lock(&book->lock);
	if (namer->symbols)
		module_table_deinit(namer->symbols, &book->modules);
	pthread_mutex_unlock(&book->lock);
}

void book_resolve(struct book *book, const struct tally *tally, const struct namer *namer,
	const struct lists *lists, const struct namer_process *process)
{
	CLEANUP_FREE struct site_name **name = calloc(tally->n + 1, sizeof(struct site_name *));
	size_t n = 0;

	for (size_t i = 0; name && i < tally->n; i++) {
		struct book_site *site = book_get(book, tally->site[i].site);
		if (site && site->named && (!site->name.resolved || site->name.edition != lists->edition))
			name[n++] = &site->name;
	}
	if (n)
		namer_resolve(namer, lists, process, &book->modules, book->texts, name, n);
}

int64_t book_rate(const struct book_past past[static BOOK_PAST], uint64_t live_bytes, int64_t now_boot_ns)
{
	const struct book_past *then = NULL;

	for (unsigned i = 0; i < BOOK_PAST; i++)
		if (past[i].boot_ns &&
			now_boot_ns - past[i].boot_ns >= BOOK_WINDOW_S * second_ns - slack_ns &&
			(!then || past[i].boot_ns > then->boot_ns))
			then = &past[i];
	if (!then)
		return LEAK_RATE_UNKNOWN;
	double seconds = (double)(now_boot_ns - then->boot_ns) / (double)second_ns;
	return (int64_t)(((double)live_bytes - (double)then->live_bytes) / seconds);
}

static void add_past(
	struct book_past past[static BOOK_PAST], uint32_t *n, uint64_t live_bytes, int64_t boot_ns)
{
	past[(*n)++ % BOOK_PAST] = (struct book_past) { boot_ns, live_bytes };
}

bool book_is_runtime(const struct book_site *site, uint64_t largest_bytes)
{
	const char *slash = site->name.module ? strrchr(site->name.module, '/') : NULL;

	return noise_of(site->name.function, slash ? slash + 1 : site->name.module, largest_bytes) !=
	       NOISE_NONE;
}

struct taking {
	struct book *book;
	const struct tally *tally;
	int64_t now_ns;
	bool past_due, growth_due;
	uint64_t least_bytes, window_s;
	struct book_telling *telling;
	unsigned n;
};

static void tell(
	struct taking *taking, const struct book_site *site, const struct tally_site *counted, int what)
{
	taking->telling[taking->n++] = (struct book_telling) {
		.site = site->site,
		.what = what,
		.suspect_bytes = counted->suspect_bytes,
		.live_bytes = counted->live_bytes,
		.grown_from = growth_oldest(&site->growth),
		.rate = growth_slope(&site->growth) / (int64_t)taking->window_s,
	};
}

static void take_site(struct taking *taking, struct book_site *site, const struct tally_site *counted)
{
	if (taking->past_due)
		add_past(site->past, &site->n_past, counted->live_bytes, taking->now_ns);
	if (!taking->least_bytes || site->name.suppressed || book_is_runtime(site, counted->largest_bytes))
		return;
	bool room = taking->n < BOOK_TELLINGS_MAX;
	if (room && !site->told_old && counted->suspect_bytes >= taking->least_bytes) {
		tell(taking, site, counted, BOOK_OLD);
		site->told_old = true;
		room = taking->n < BOOK_TELLINGS_MAX;
	}
	if (!taking->growth_due || growth_add(&site->growth, counted->live_bytes - counted->kept_bytes,
					   taking->least_bytes) != GROWTH_BEGAN)
		return;
	if (room) {
		tell(taking, site, counted, BOOK_GROWS);
	} else { /* found anew with the next sample */
		site->growth.growing = false;
		site->growth.confirmations = GROWTH_CONFIRMATIONS - 1;
	}
}

/* Sites that have nothing now had something once: that is a sample too. */
static void take_rest(struct taking *taking)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, taking->book->sites);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct book_site *site = value;
		const struct tally_site nothing = { .site = site->site };
		if (!tally_find(taking->tally, site->site))
			take_site(taking, site, &nothing);
	}
}

unsigned book_take(struct book *book, const struct tally *tally, int64_t now_boot_ns, uint64_t least_bytes,
	uint64_t window_s, struct book_telling ret_telling[static BOOK_TELLINGS_MAX])
{
	struct taking taking = { book, tally, now_boot_ns,
		.past_due = now_boot_ns - book->past_ns >= BOOK_PAST_S * second_ns - slack_ns,
		.growth_due = now_boot_ns >= book->growth_due_ns - slack_ns, .least_bytes = least_bytes,
		.window_s = window_s, .telling = ret_telling };

	if (book->growth_window_s != window_s) { /* samples of another distance say nothing */
		GHashTableIter iter;
		void *value;
		g_hash_table_iter_init(&iter, book->sites);
		while (g_hash_table_iter_next(&iter, NULL, &value)) {
			struct growth_track *track = &((struct book_site *)value)->growth;
			*track = (struct growth_track) { .growing = track->growing };
		}
		book->growth_window_s = window_s;
		taking.growth_due = true;
	}
	if (taking.past_due) {
		book->past_ns = now_boot_ns;
		add_past(book->past, &book->n_past, tally->live_bytes, now_boot_ns);
	}
	if (taking.growth_due)
		book->growth_due_ns = now_boot_ns + (int64_t)window_s * second_ns / GROWTH_SAMPLES;
	for (size_t i = 0; i < tally->n; i++) {
		struct book_site *site = book_get(book, tally->site[i].site);
		if (site)
			take_site(&taking, site, &tally->site[i]);
	}
	if (taking.past_due || taking.growth_due)
		take_rest(&taking);
	return taking.n;
}
