/* SPDX-License-Identifier: MIT */
/*
 * Ends: the table of a process that died is packed into history, one after the other, and its region is held
 * until it is stored. What ran another program has left nothing that anybody could miss.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/leaks/records.h"
#include "collector/leaks/watch.h"
#include "schema/base/clock.h"
#include "schema/history/pack_leaks.h"

enum { PACKED_BLOCKS_MAX = 1 << 20, FOLDED_MAX = 4 << 20 };

struct packing {
	struct job job;
	struct watch *watch; /* a reference */
	struct report_options options;
	struct history_leaks *leaks;
	int outcome;
};

/* Where each site stands in the report, from 1. */
static uint32_t *places_of(const struct report *report)
{
	uint32_t *place = calloc(TALLY_SITES, sizeof(*place));

	for (size_t i = 0; place && i < report->n; i++)
		place[report->site_number[i]] = (uint32_t)i + 1;
	return place;
}

static int pack_blocks(const struct packing *packing, const struct report *report, struct buf *out)
{
	struct records records;
	struct leak_block before = { 0 };
	struct report_options all = packing->options;
	struct watch *watch = packing->watch;
	uint32_t *place = places_of(report);

	all.min_age_ms = 0;
	int r = place ? report_take_records(watch->region->fd, &watch->book, &all, &report->head,
				report->now_boot_ns, &records, NULL)
		      : -ENOMEM;

	if (r) {
		free(place);
		return r;
	}
	/* Of too many the oldest, which are the likeliest leaks. */
	size_t n = records.n < PACKED_BLOCKS_MAX ? records.n : PACKED_BLOCKS_MAX;
	pack_leaks_count(out, n);
	for (size_t i = 0; i < n; i++) {
		const struct record *record = &records.record[records.order[i]];
		const struct leak_block block = { table_epoch_ns(&report->head, record->epoch) / 1000000,
			record->addr, record->size, place[record->site] };
		pack_leaks_block(out, &before, &block);
	}
	records_deinit(&records);
	free(place);
	return 0;
}

static int pack(struct packing *packing)
{
	CLEANUP_BUF struct buf folded = BUF_INIT;
	struct watch *watch = packing->watch;
	struct buf *out = &packing->leaks->packed;
	struct report report;
	int r = report_take(watch->region->fd, &watch->book, &packing->options, &report);

	if (r)
		return r;
	if (!report.stat.live_blocks && report.stat.trace.mode == SHADOW_OFF)
		r = -ENODATA; /* it was not traced */
	if (!r) {
		packing->leaks->made_ns = (int64_t)report.head.created_real_ns;
		pack_leaks_stat(out, &report.stat);
		pack_leaks_count(out, report.n);
		for (size_t i = 0; i < report.n; i++)
			pack_leaks_site(out, &report.site[i]);
		report_put_folded(&report, &folded);
		if (buf_error(&folded) || folded.len > FOLDED_MAX)
			buf_clear(&folded);
		pack_leaks_text(out, (struct span) { folded.data, folded.len });
		r = pack_blocks(packing, &report, out);
	}
	report_deinit(&report);
	return r ? r : buf_error(out);
}

static void work(struct job *job)
{
	struct packing *packing = (struct packing *)job;

	packing->outcome = pack(packing);
}

static void pack_next(struct leaks *leaks)
{
	struct region *next;

	for (struct region *region = leaks_next(leaks, NULL); region && !leaks->packing; region = next) {
		struct watch *watch = region->leaks;
		next = leaks_next(leaks, region);
		if (watch && watch->ended)
			watch_end(watch);
	}
}

static void end_packing(struct packing *packing, bool release)
{
	struct watch *watch = packing->watch;
	struct leaks *leaks = watch->leaks;

	lists_unref(packing->options.lists);
	free(packing);
	if (release) {
		leaks->packing = NULL;
		watch_release(watch);
		pack_next(leaks);
	}
	watch_unref(watch);
}

/* In the recorder's thread: the rest is the loop's. */
static void stored_done(struct job *job)
{
	struct packing *packing = (struct packing *)job;

	end_packing(packing, true);
}

static void stored(void *ctx)
{
	struct packing *packing = ctx;

	packing->job.done = stored_done;
	jobs_post(packing->watch->leaks->jobs, &packing->job);
}

static void done(struct job *job)
{
	struct packing *packing = (struct packing *)job;
	struct watch *watch = packing->watch;

	if (packing->outcome == -ECANCELED) { /* the collector ends: its successor is told again */
		history_leaks_free(packing->leaks);
		end_packing(packing, false);
	} else if (packing->outcome) {
		history_leaks_free(packing->leaks);
		end_packing(packing, true);
	} else {
		struct history_leaks *leaks = packing->leaks;
		leaks->stored = stored;
		leaks->ctx = packing;
		recorder_put_leaks(watch->leaks->options.recorder, leaks);
	}
}

static bool begin(struct watch *watch)
{
	const struct region *region = watch->region;
	struct packing *packing = calloc(1, sizeof(*packing));
	struct history_leaks *leaks = calloc(1, sizeof(*leaks));

	if (!packing || !leaks) {
		free(packing);
		free(leaks);
		return false;
	}
	leaks->pid = region->process.pid;
	leaks->uid = region->process.uid;
	leaks->start_ticks = region->process.start_ticks;
	leaks->end_ns = clock_realtime_ns() - (clock_boottime_ns() - region->end_boot_ns);
	packing->job = (struct job) { .work = work, .done = done };
	packing->watch = watch_ref(watch);
	packing->leaks = leaks;
	packing->options = watch_report_options(watch);
	packing->outcome = -ECANCELED; /* unless a worker gets to it */
	watch->leaks->packing = watch;
	jobs_run(watch->leaks->jobs, &packing->job);
	return true;
}

void watch_end(struct watch *watch)
{
	struct leaks *leaks = watch->leaks;

	if (watch->counting)
		return;
	if (watch->region->end != REGION_DIED || !leaks->options.recorder ||
		!leaks->options.settings->value[SETTING_ENDED_KEEP])
		watch_release(watch);
	else if (!leaks->packing && !begin(watch))
		watch_release(watch);
}
