/* SPDX-License-Identifier: MIT */
#include "collector/leaks/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/leaks/stack_sites.h"
#include "collector/symbols/folded.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/leak_text.h"

struct numbered {
	struct leak_site site;
	uint32_t number;
};

static int compare(const void *a, const void *b)
{
	return leak_site_compare(&((const struct numbered *)a)->site, &((const struct numbered *)b)->site);
}

static uint64_t age_ms(const struct report *report, uint32_t epoch)
{
	uint64_t made_ms = shadow_epoch_ms(epoch);
	uint64_t now_ms = report->now_boot_ns > (int64_t)report->head.created_boot_ns
				  ? ((uint64_t)report->now_boot_ns - report->head.created_boot_ns) / 1000000
				  : 0;
	return now_ms > made_ms ? now_ms - made_ms : 0;
}

/* What the runtime keeps, and what people do not want to be told of, is no suspect. */
static struct leak_site make_site(
	const struct report *report, const struct tally_site *counted, const struct book_site *known)
{
	struct leak_site site = {
		.live_bytes = counted->live_bytes,
		.live_blocks = counted->live_blocks,
		.oldest_age_ms = (int64_t)age_ms(report, counted->oldest_epoch),
		.rate_1m = LEAK_RATE_UNKNOWN,
	};

	if (known)
		site.rate_1m = book_rate(known->past, counted->live_bytes, report->now_boot_ns);
	if (known && known->named)
		site_name_show(&known->name, &site);
	if (!known || (!known->name.suppressed && !book_is_runtime(known, counted->largest_bytes))) {
		site.suspect_bytes = counted->suspect_bytes;
		site.suspect_blocks = counted->suspect_blocks;
	}
	return site;
}

static void make_numbered(struct report *report, struct book *book, struct numbered *numbered)
{
	const struct tally *tally = &report->tally;
	struct leak_stat *stat = &report->stat;

	for (size_t i = 0; i < tally->n; i++) {
		const struct book_site *known = book_get(book, tally->site[i].site);
		struct leak_site *site = &numbered[i].site;
		*site = make_site(report, &tally->site[i], known);
		numbered[i].number = tally->site[i].site;
		stat->suspect_bytes += site->suspect_bytes;
		stat->suspect_blocks += site->suspect_blocks;
		if (known && book_is_runtime(known, tally->site[i].largest_bytes))
			stat->runtime_bytes += site->live_bytes;
		for (unsigned told = 0; told < report->n_telling; told++)
			if (report->telling[told].site == tally->site[i].site)
				report->told[told] = *site;
	}
}

static int make_sites(struct report *report, struct book *book)
{
	size_t n = report->tally.n;
	CLEANUP_FREE struct numbered *numbered = calloc(n + 1, sizeof(*numbered));

	report->site = calloc(n + 1, sizeof(*report->site));
	report->site_number = calloc(n + 1, sizeof(*report->site_number));
	if (!numbered || !report->site || !report->site_number)
		return -ENOMEM;
	make_numbered(report, book, numbered);
	qsort(numbered, n, sizeof(*numbered), compare);
	for (size_t i = 0; i < n; i++) {
		report->site[i] = numbered[i].site;
		report->site_number[i] = numbered[i].number;
	}
	report->n = n;
	return 0;
}

static void fill_stat(struct report *report, int fd, const struct book *book)
{
	const struct table_head *head = &report->head;
	bool on = head->mode != SHADOW_OFF && head->attached_boot_ns;

	report->stat = (struct leak_stat) {
		.trace = { head->mode, head->rate_bytes },
		/* By the clock of now: that of then may have been set since. */
		.since_ns = on ? report->now_real_ns - (report->now_boot_ns - (int64_t)head->attached_boot_ns)
			       : 0,
		.counted_ns = report->now_real_ns,
		.live_bytes = report->tally.live_bytes,
		.live_blocks = report->tally.live_blocks,
		.preattach_blocks = head->older_freed,
		.lost = head->uncovered_blocks + head->samples_refused,
		.uncovered_bytes = head->uncovered_bytes,
		.stacks_lost = head->stacks_dropped + book->stacks.lost,
		.region_bytes = table_region_bytes(fd),
		.mapped_bytes = head->mapped_bytes,
		.kept_bytes = report->tally.kept_bytes,
		.sites = report->tally.n,
		.rate_1m = book_rate(book->past, report->tally.live_bytes, report->now_boot_ns),
	};
}

static bool needs_names(struct book *book, const struct tally *tally)
{
	for (size_t i = 0; i < tally->n; i++) {
		const struct book_site *site = book_get(book, tally->site[i].site);
		if (site && !site->named)
			return true;
	}
	return false;
}

static uint64_t *find_or_add_sum(GHashTable *sums, const void *key)
{
	uint64_t *sum = g_hash_table_lookup(sums, key);

	if (!sum) {
		sum = g_new0(uint64_t, 1);
		g_hash_table_insert(sums, (void *)(uintptr_t)key, sum);
	}
	return sum;
}

/* Two paths of one text differ in their lines alone. */
static GHashTable *sums_by_text(GHashTable *sums_by_path)
{
	GHashTable *sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTableIter iter;
	void *path, *part;

	g_hash_table_iter_init(&iter, sums_by_path);
	while (g_hash_table_iter_next(&iter, &path, &part)) {
		const char *folded = ((const struct stack_path *)path)->folded;
		uint64_t *sum = g_hash_table_lookup(sums, folded);
		*(sum ? sum : find_or_add_sum(sums, g_strdup(folded))) += *(const uint64_t *)part;
	}
	return sums;
}

/* Sums of stacks, and what of their sites has none. */
static void add_stacks(struct report *report, struct book *book)
{
	const struct tally *tally = &report->tally;
	GHashTable *sums = g_hash_table_new_full(NULL, NULL, NULL, g_free);

	report->stacked_bytes = calloc(tally->n + 1, sizeof(*report->stacked_bytes));
	for (size_t i = 0; report->stacked_bytes && i < tally->n_samples; i++) {
		const struct tally_sample *sample = &tally->sample[i];
		const struct stack_note *note = stacks_find(&book->stacks, sample->sample, sample->number);
		if (!note || !tally->place[sample->site])
			continue;
		*find_or_add_sum(sums, note->path) += sample->live_bytes;
		report->stacked_bytes[tally->place[sample->site] - 1] += sample->live_bytes;
	}
	report->stacks = sums_by_text(sums);
	g_hash_table_destroy(sums);
}

static int add_book(struct report *report, int fd, struct book *book, const struct report_options *options)
{
	struct table_places places = { 0 };
	int r = 0;

	if (needs_names(book, &report->tally)) {
		r = table_read_places(fd, &places);
		if (!r)
			book_name(book, &report->tally, &places);
		table_places_deinit(&places);
	}
	if (r)
		return r;
	if (report->stacked) {
		add_stacks(report, book);
		stacks_tidy(&book->stacks, &report->tally);
	}
	if (options->namer)
		book_resolve(book, &report->tally, options->namer, options->lists, &options->process);
	if (options->take)
		report->n_telling = book_take(book, &report->tally, report->now_boot_ns, options->least_bytes,
			options->window_s, report->telling);
	fill_stat(report, fd, book);
	return make_sites(report, book);
}

/* The lock is held from here to stack_sites_end. */
static struct stack_sites begin_stacked(int fd, struct book *book, const struct report_options *options)
{
	return stack_sites_begin(book, options->lists, options->drives ? fd : -1);
}

static bool is_stacked(
	const struct book *book, const struct report_options *options, const struct table_head *head)
{
	return options->namer && stack_sites_matter(book, head);
}

/* The lock is held. */
static void drain(int fd, struct book *book, const struct report_options *options)
{
	stacks_drain(fd, &book->stacks, options->namer, &options->process, options->drives, &book->modules);
}

void report_drain(int fd, struct book *book, const struct report_options *options)
{
	pthread_mutex_lock(&book->lock);
	drain(fd, book, options);
	pthread_mutex_unlock(&book->lock);
}

/* Of blocks whose stack is known, that says whom they are counted for. */
static int take_tally(int fd, struct report *report, struct book *book, const struct report_options *options)
{
	struct table_head *head = &report->head;
	int r = 0;

	pthread_mutex_lock(&book->lock);
	report->stacked = is_stacked(book, options, head);
	if (report->stacked) {
		struct stack_sites stack_sites = begin_stacked(fd, book, options);
		const struct tally_sites sites = { stack_sites_of, &stack_sites };
		if (head->mode == SHADOW_STACK)
			drain(fd, book, options);
		r = tally_take(fd, head, report->now_boot_ns, options->min_age_ms, &sites, &report->tally);
		stack_sites_end(&stack_sites);
	}
	pthread_mutex_unlock(&book->lock);
	if (!report->stacked)
		r = tally_take(fd, head, report->now_boot_ns, options->min_age_ms, NULL, &report->tally);
	return r;
}

int report_take_records(int fd, struct book *book, const struct report_options *options,
	const struct table_head *head, int64_t now_boot_ns, struct records *ret_records,
	uint64_t **ret_merged_caller)
{
	CLEANUP_FREE uint64_t *merged = NULL;
	int r = 0;

	pthread_mutex_lock(&book->lock);
	bool stacked = is_stacked(book, options, head);
	if (stacked && ret_merged_caller && !(merged = calloc(TALLY_MERGED, sizeof(*merged))))
		r = -ENOMEM;
	if (stacked && !r) {
		struct stack_sites stack_sites = begin_stacked(fd, book, options);
		const struct tally_sites sites = { stack_sites_of, &stack_sites };
		r = records_take(fd, head, now_boot_ns, options->min_age_ms, &sites, ret_records);
		stack_sites_end(&stack_sites);
		if (merged)
			stack_sites_callers(book, merged);
	}
	pthread_mutex_unlock(&book->lock);
	if (!stacked)
		r = records_take(fd, head, now_boot_ns, options->min_age_ms, NULL, ret_records);
	if (ret_merged_caller)
		*ret_merged_caller = steal_ptr(merged);
	return r;
}

int report_take(int fd, struct book *book, const struct report_options *options, struct report *ret_report)
{
	struct report report = { .now_boot_ns = clock_boottime_ns(), .now_real_ns = clock_realtime_ns() };
	const char *fault;
	int r = table_read_head(fd, &report.head, &fault);

	if (!r)
		r = take_tally(fd, &report, book, options);
	if (!r) {
		pthread_mutex_lock(&book->lock);
		r = add_book(&report, fd, book, options);
		pthread_mutex_unlock(&book->lock);
	}
	if (r)
		report_deinit(&report);
	else
		*ret_report = report;
	return r;
}

void report_deinit(struct report *report)
{
	tally_deinit(&report->tally);
	free(report->site);
	free(report->site_number);
	free(report->stacked_bytes);
	if (report->stacks)
		g_hash_table_destroy(report->stacks);
	*report = (struct report) { 0 };
}

void report_put_callers(const struct report *report, struct buf *out)
{
	buf_puts(out, LEAK_CALLERS_HEAD);
	for (size_t i = 0; i < report->n; i++)
		leak_caller_put(out, &report->site[i]);
}

/* Without what such lines are made of. */
static void put_frame(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		buf_putc(out, c == ';' ? ':' : (unsigned char)c < 0x20 || c == 0x7f ? '?' : c);
	}
}

/* What of a site is in no stack that is known. */
static uint64_t bytes_without_stack(const struct report *report, size_t i)
{
	uint32_t place = report->tally.place[report->site_number[i]];
	uint64_t stacked = report->stacked_bytes && place ? report->stacked_bytes[place - 1] : 0;

	return report->site[i].live_bytes > stacked ? report->site[i].live_bytes - stacked : 0;
}

void report_put_folded(const struct report *report, struct buf *out)
{
	GHashTableIter iter;
	void *folded, *sum;

	if (report->stacks)
		g_hash_table_iter_init(&iter, report->stacks);
	while (report->stacks && g_hash_table_iter_next(&iter, &folded, &sum)) {
		buf_puts(out, folded);
		folded_put_bytes(out, *(uint64_t *)sum);
	}
	for (size_t i = 0; i < report->n; i++) {
		const struct leak_site *site = &report->site[i];
		uint64_t bytes = bytes_without_stack(report, i);
		if (!bytes)
			continue;
		const char *slash = site->module.n ? memrchr(site->module.p, '/', site->module.n) : NULL;
		struct span module = site->module;

		if (slash)
			module = (struct span) { slash + 1, (size_t)(module.p + module.n - slash - 1) };
		if (module.n) {
			put_frame(out, module);
			buf_putc(out, ';');
		}
		if (site->symbol.n)
			put_frame(out, site->symbol);
		else
			buf_printf(out, "0x%llx",
				(unsigned long long)(module.n ? site->module_offset : site->caller));
		folded_put_bytes(out, bytes);
	}
}
