/* SPDX-License-Identifier: MIT */
/* Counts, by a worker, and what becomes of them: the board, and what people are told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/leaks/watch.h"
#include "collector/news.h"
#include "schema/base/clock.h"

struct count {
	struct job job;
	struct watch *watch;
	struct report_options options;
	struct report report;
	int64_t run_ns;  /* processor time of the process before it was counted */
	int64_t cost_ns; /* of the count, of a processor */
	int outcome;
};

static void work(struct job *job)
{
	struct count *count = (struct count *)job;
	struct watch *watch = count->watch;
	int64_t begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID), growth_due_ns = watch->book.growth_due_ns;

	count->outcome = report_take(watch->region->fd, &watch->book, &count->options, &count->report);
	/* Who drives the region keeps what it told in it; successors of the others begin anew. */
	if (!count->outcome && count->options.drives &&
		(count->report.n_telling || growth_due_ns != watch->book.growth_due_ns)) {
		pthread_mutex_lock(&watch->book.lock);
		/* A region that is full, or a file system of it: the successor begins anew. */
		keep_write_book(watch->region->fd, &watch->leaks->teller, &watch->book);
		pthread_mutex_unlock(&watch->book.lock);
	}
	count->cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
}

static void put_place(struct buf *text, const struct leak_site *site)
{
	if (site->symbol.n) {
		buf_put(text, site->symbol.p, site->symbol.n < 80 ? site->symbol.n : 80);
	} else if (site->module.n) {
		const char *slash = memrchr(site->module.p, '/', site->module.n);
		const char *name = slash ? slash + 1 : site->module.p;
		buf_put(text, name, (size_t)(site->module.p + site->module.n - name));
		buf_printf(text, "+0x%llx", (unsigned long long)site->module_offset);
	} else {
		buf_printf(text, "0x%llx", (unsigned long long)site->caller);
	}
}

static void tell(struct watch *watch, const struct book_telling *telling, const struct leak_site *site)
{
	const struct process *process =
		process_find(&watch->leaks->options.sampler->table, watch->region->process.pid);
	char array[BOARD_NEWS_TEXT];
	struct buf text = BUF_FIXED(array);

	if (process)
		buf_printf(&text, "%.*s ", BOARD_COMM, process->shown.comm);
	put_place(&text, site);
	if (telling->what == BOOK_GROWS)
		buf_printf(&text, " grows steadily, live %llu, from %llu, %lld a second",
			(unsigned long long)telling->live_bytes, (unsigned long long)telling->grown_from,
			(long long)telling->rate);
	else
		buf_printf(&text, " has suspects, %llu of live %llu",
			(unsigned long long)telling->suspect_bytes, (unsigned long long)telling->live_bytes);
	buf_putc(&text, '\0');
	array[sizeof(array) - 1] = '\0';
	news_push(watch->leaks->options.board, NEWS_LEAK, watch->region->process.pid, array);
}

/* Whether history says something else of a site, by more than a part of it. */
static bool is_news(uint64_t was, uint64_t is)
{
	uint64_t difference = was < is ? is - was : was - is;

	return difference > was / 32;
}

static bool is_recorded(const struct watch *watch, const struct leak_site *site)
{
	for (size_t i = 0; i < watch->n_recorded; i++) {
		const struct leak_site *recorded = &watch->recorded[i];
		if (recorded->caller == site->caller && recorded->symbol.p == site->symbol.p)
			return !is_news(recorded->live_bytes, site->live_bytes) &&
			       !is_news(recorded->suspect_bytes, site->suspect_bytes);
	}
	return false;
}

void watch_record_minute(struct watch *watch)
{
	const struct region_process *process = &watch->region->process;
	struct recorder *recorder = watch->leaks->options.recorder;
	int64_t minute = store_minute(clock_realtime_ns());
	struct history_leaks *leaks;

	if (!recorder || !watch->n_top || minute == watch->minute || !process->start_ticks)
		return;
	watch->minute = minute;
	leaks = calloc(1, sizeof(*leaks));
	if (!leaks)
		return;
	leaks->pid = process->pid;
	leaks->start_ticks = process->start_ticks;
	leaks->minute = minute;
	for (size_t i = 0; i < watch->n_top && i < LEAK_MINUTE_SITES; i++)
		if (!is_recorded(watch, &watch->top[i]))
			history_leaks_add(leaks, &watch->top[i]);
	watch->n_recorded = watch->n_top < LEAK_MINUTE_SITES ? watch->n_top : LEAK_MINUTE_SITES;
	for (size_t i = 0; i < watch->n_recorded; i++)
		watch->recorded[i] = watch->top[i];
	if (leaks->n)
		recorder_put_leaks(recorder, leaks);
	else
		history_leaks_free(leaks);
}

static void take(struct watch *watch, struct count *count)
{
	struct report *report = &count->report;
	size_t n = report->n < WATCH_TOP ? report->n : WATCH_TOP;

	watch->stat = report->stat;
	free(watch->top);
	watch->top = report->site;
	report->site = NULL;
	watch->n_top = n;
	struct leak_site *cut = reallocarray(watch->top, n + 1, sizeof(*cut));
	if (cut)
		watch->top = cut;
	for (unsigned i = 0; i < report->n_telling; i++)
		tell(watch, &report->telling[i], &report->told[i]);
	watch_publish(watch);
	watch_record_minute(watch);
}

static void done(struct job *job)
{
	struct count *count = (struct count *)job;
	struct watch *watch = count->watch;

	watch->counting = false;
	watch->run_ns = count->run_ns;
	if (!count->outcome && !watch->ended)
		take(watch, count);
	if (watch->budgeted)
		watch->leaks->budget_ns += watch->cost_ns - count->cost_ns;
	watch->budgeted = false;
	watch->cost_ns = count->cost_ns;
	watch->due_ns = clock_boottime_ns() + WATCH_PAUSE_S * INT64_C(1000000000);
	report_deinit(&count->report);
	lists_unref(count->options.lists);
	free(count);
	if (watch->ended)
		watch_end(watch);
	watch_unref(watch);
}

bool watch_count(struct watch *watch)
{
	struct leaks *leaks = watch->leaks;
	const uint64_t *setting = leaks->options.settings->value;
	struct count *count = calloc(1, sizeof(*count));

	if (!count)
		return false;
	count->job = (struct job) { .work = work, .done = done };
	count->watch = watch_ref(watch);
	count->outcome = -ECANCELED; /* unless a worker gets to it */
	count->options = watch_report_options(watch);
	count->options.take = true;
	count->options.least_bytes = setting[SETTING_LEAKS_EVENT_BYTES];
	count->options.window_s = setting[SETTING_GROWTH_WINDOW_S];
	watch->counting = true;
	watch->wanted = false;
	watch->counted_ns = clock_boottime_ns();
	count->run_ns = watch_note_run(watch, watch->counted_ns);
	jobs_run(leaks->jobs, &count->job);
	return true;
}
