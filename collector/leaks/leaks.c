/* SPDX-License-Identifier: MIT */
#include "collector/leaks/leaks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include "collector/leaks/region_drive.h"
#include "collector/leaks/watch.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

static const int64_t second_ns = 1000000000;
enum { ADOPT_S = 10, NOBODY = 65534 };

/* --- watches --- */

struct watch *watch_ref(struct watch *watch)
{
	watch->references++;
	return watch;
}

void watch_unref(struct watch *watch)
{
	if (!watch || --watch->references)
		return;
	book_deinit(&watch->book);
	free(watch->top);
	region_unref(watch->region);
	free(watch);
}

static void leave_board(struct watch *watch)
{
	if (watch->slot == BOARD_LEAKS)
		return;
	board_clear_leaks(watch->leaks->options.board, watch->slot);
	watch->leaks->slot[watch->slot] = NULL;
	watch->slot = BOARD_LEAKS;
}

/* That which a predecessor had for the process, else a free one. */
static uint32_t take_slot(struct leaks *leaks, struct watch *watch)
{
	const struct region_process *process = &watch->region->process;
	struct board *board = leaks->options.board;
	struct board_leaks other;
	uint32_t slot = board_find_leaks(board, process->pid, process->start_ticks);

	if (slot == BOARD_LEAKS || leaks->slot[slot])
		for (slot = 0; slot < BOARD_LEAKS; slot++)
			if (!leaks->slot[slot] && board_read_leak_slot(board, slot, &other) != BOARD_FOUND)
				break;
	if (slot < BOARD_LEAKS)
		leaks->slot[slot] = watch;
	return slot;
}

static void on_found(void *ctx, struct region *region, bool again)
{
	struct leaks *leaks = ctx;
	struct watch *watch = region->leaks ? NULL : calloc(1, sizeof(*watch));

	if (!watch)
		return;
	watch->references = 1;
	watch->leaks = leaks;
	watch->region = region_ref(region);
	book_init(&watch->book);
	keep_read_book(region->fd, &leaks->teller, &watch->book);
	watch->min_age_s = keep_read_min_age_s(region->fd);
	watch->slot = region->end == REGION_LIVES ? take_slot(leaks, watch) : BOARD_LEAKS;
	watch->wanted = true;
	region->leaks = watch;
	watch_publish(watch);
	leaks_ring_begin(leaks);
}

static void on_ended(void *ctx, struct region *region)
{
	struct leaks *leaks = ctx;
	struct watch *watch = region->leaks;

	if (!watch) {
		regions_release(leaks->regions, region);
		return;
	}
	watch->ended = true;
	leave_board(watch);
	watch_end(watch);
}

/* The files of its process are let go by a worker: who reads has the book's lock for as long as names take.
 */
struct closing {
	struct job job;
	struct watch *watch; /* a reference */
	bool closed;
};

static void work_close(struct job *job)
{
	struct closing *closing = (struct closing *)job;

	closing->closed = true;
	book_close(&closing->watch->book, &closing->watch->leaks->namer);
}

static void done_closing(struct job *job)
{
	struct closing *closing = (struct closing *)job;

	if (!closing->closed) /* the collector ends */
		work_close(job);
	watch_unref(closing->watch);
	free(closing);
}

static void close_book(struct watch *watch)
{
	struct closing *closing = calloc(1, sizeof(*closing));

	if (!closing) {
		book_close(&watch->book, &watch->leaks->namer);
		return;
	}
	*closing = (struct closing) { .job = { .work = work_close, .done = done_closing },
		.watch = watch_ref(watch) };
	jobs_run(watch->leaks->jobs, &closing->job);
}

void watch_release(struct watch *watch)
{
	struct region *region = watch->region;

	leave_board(watch);
	close_book(watch);
	region->leaks = NULL;
	regions_release(watch->leaks->regions, region);
	watch_unref(watch);
}

struct watch *leaks_watch(struct leaks *leaks, uint64_t pid, uint64_t start_ticks)
{
	struct region *region = leaks->regions && pid < BOARD_PIDS
					? regions_find(leaks->regions, (uint32_t)pid, start_ticks)
					: NULL;

	return region ? region->leaks : NULL;
}

uint64_t watch_min_age_s(const struct watch *watch)
{
	return watch->min_age_s != KEEP_NO_AGE ? watch->min_age_s
					       : watch->leaks->options.settings->value[SETTING_LEAKS_MIN_AGE];
}

struct report_options watch_report_options(const struct watch *watch)
{
	const struct region *region = watch->region;

	return (struct report_options) {
		.min_age_ms = watch_min_age_s(watch) * 1000,
		.namer = &watch->leaks->namer,
		.lists = lists_ref(watch->leaks->lists),
		.drives = region->ours,
		.process = { region->process.pid, region->process.start_ticks, region->end == REGION_LIVES },
	};
}

/* How it is traced is known at once, whatever was counted before. */
void watch_publish(struct watch *watch)
{
	const struct region *region = watch->region;
	struct board_leaks leaks = {
		.pid = region->process.pid,
		.start_ticks = region->process.start_ticks,
		.min_age_s = watch_min_age_s(watch),
		.stat = watch->stat,
	};
	struct region_driving driving;

	if (watch->slot == BOARD_LEAKS)
		return;
	region_read_driving(region, &driving);
	leaks.stat.trace = (struct leak_trace) { driving.mode, driving.rate_bytes };
	leaks.stat.since_ns = driving.attached_boot_ns
				      ? clock_realtime_ns() - clock_boottime_ns() + driving.attached_boot_ns
				      : 0;
	board_write_leaks(watch->leaks->options.board, watch->slot, &leaks);
}

/* --- when to count --- */

int64_t watch_note_run(struct watch *watch, int64_t now_ns)
{
	int64_t run_ns = -1;
	struct timespec run;
	clockid_t clock;

	if (!clock_getcpuclockid((pid_t)watch->region->process.pid, &clock) && !clock_gettime(clock, &run))
		run_ns = run.tv_sec * second_ns + run.tv_nsec;
	if (run_ns < 0 || run_ns != watch->run_ns)
		watch->ran_ns = now_ns;
	return run_ns;
}

/* Something may be other than at the last count. */
static bool has_moved(struct watch *watch, int64_t now_ns)
{
	watch_note_run(watch, now_ns);
	/* What it has made last becomes old once. */
	int64_t old_ns = watch->ran_ns + ((int64_t)watch_min_age_s(watch) + WATCH_PAUSE_S) * second_ns;
	return watch->ran_ns > watch->counted_ns || watch->counted_ns < old_ns;
}

static void clear_left_over(struct leaks *leaks)
{
	for (uint32_t i = 0; i < board_leak_slots(leaks->options.board); i++)
		if (!leaks->slot[i])
			board_clear_leaks(leaks->options.board, i);
	leaks->adopt_until_ns = INT64_MAX;
}

static void raise_budget(struct leaks *leaks, int64_t now_ns)
{
	leaks->budget_ns += leaks->budget_at_ns ? (now_ns - leaks->budget_at_ns) / WATCH_SHARE : 0;
	leaks->budget_at_ns = now_ns;
	if (leaks->budget_ns > WATCH_BUDGET_MS * INT64_C(1000000))
		leaks->budget_ns = WATCH_BUDGET_MS * INT64_C(1000000);
}

/* Whether it is worth a count that nobody asked for. */
static bool is_due(struct watch *watch, int64_t now_ns)
{
	struct region_driving driving;

	if (watch->leaks->budget_ns < 0 || now_ns < watch->due_ns)
		return false;
	region_read_driving(watch->region, &driving);
	return (driving.mode != SHADOW_OFF || watch->stat.trace.mode != SHADOW_OFF) &&
	       has_moved(watch, now_ns);
}

void leaks_tick(struct leaks *leaks)
{
	int64_t now_ns = clock_boottime_ns();
	struct region *next;

	if (leaks->regions)
		regions_tick(leaks->regions);
	leaks_ring_tick(leaks);
	raise_budget(leaks, now_ns);

	if (now_ns >= leaks->adopt_until_ns)
		clear_left_over(leaks);
	for (struct region *region = leaks_next(leaks, NULL); region; region = next) {
		struct watch *watch = region->leaks;
		next = leaks_next(leaks, region);
		if (!watch || watch->ended || watch->counting)
			continue;
		watch_record_minute(watch);
		if (watch->wanted) {
			watch_count(watch);
		} else if (is_due(watch, now_ns) && watch_count(watch)) {
			/* What it cost last is taken in advance, the rest when it is known. */
			leaks->budget_ns -= watch->cost_ns;
			watch->budgeted = true;
		}
	}
}

void leaks_count_soon(struct leaks *leaks, struct control_call *call)
{
	struct watch *watch = leaks_watch(leaks, call->pid, call->start_ticks);

	if (watch && !watch->counting && !watch->ended &&
		clock_boottime_ns() - watch->counted_ns > second_ns / 10)
		watch_count(watch);
	control_call_answer(call, CONTROL_OK, 0, NULL, 0);
}

/* --- all together --- */

struct region *leaks_next(const struct leaks *leaks, const struct region *before)
{
	return leaks->regions ? regions_next(leaks->regions, before) : NULL;
}

static int watch_fd(const struct leaks *leaks, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(leaks->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int leaks_new(
	const struct leaks_options *options, const struct regions_options *regions, struct leaks **ret_leaks)
{
	/* A user of nothing else: it reads what strangers made. */
	const struct symbols_options symbols = { .uid = NOBODY, .gid = NOBODY };
	struct leaks *leaks = calloc(1, sizeof(*leaks));
	struct stat st;

	if (!leaks)
		return -ENOMEM;
	leaks->options = *options;
	if (!stat(options->state_dir, &st))
		leaks->teller = (struct keep_teller) { st.st_dev, st.st_ino };
	/* Names of all sites are to be found at first. */
	leaks->budget_ns = WATCH_BUDGET_MS * INT64_C(1000000);
	leaks->adopt_until_ns = clock_boottime_ns() + ADOPT_S * second_ns;
	leaks->epoll = epoll_create1(EPOLL_CLOEXEC);
	leaks->lists = lists_new(&options->notes[NOTE_LEAKS_SKIP], &options->notes[NOTE_LEAKS_SUPPRESS], 1);
	leaks->ring_timer = leaks_ring_open();
	int r = leaks->epoll < 0 || leaks->ring_timer < 0 ? -errno : leaks->lists ? 0 : -ENOMEM;
	if (!r)
		r = jobs_new(1, &leaks->jobs);
	if (!r && regions) {
		leaks->namer.root = regions->root;
		r = symbols_new(&symbols, &leaks->namer.symbols);
	}
	if (!r)
		r = watch_fd(leaks, jobs_fd(leaks->jobs));
	if (!r)
		r = watch_fd(leaks, leaks->ring_timer);
	if (!r && regions) {
		struct regions_options hooked = *regions;
		hooked.hooks = (struct regions_hooks) { .found = on_found, .ended = on_ended, .ctx = leaks };
		r = regions_new(&hooked, &leaks->regions);
	}
	if (!r && regions)
		r = watch_fd(leaks, regions_fd(leaks->regions));
	if (r)
		leaks_free(leaks);
	else
		*ret_leaks = leaks;
	return r;
}

void leaks_stop(struct leaks *leaks)
{
	if (!leaks)
		return;
	jobs_stop(leaks->jobs);
	jobs_dispatch(leaks->jobs);
	leaks->options.recorder = NULL;
}

void leaks_free(struct leaks *leaks)
{
	if (!leaks)
		return;
	jobs_free(leaks->jobs);
	for (struct region *region = leaks_next(leaks, NULL); region; region = leaks_next(leaks, region)) {
		struct watch *watch = region->leaks;
		if (!watch)
			continue;
		/* The board keeps what it says: the successor goes on with it. */
		book_close(&watch->book, &leaks->namer);
		region->leaks = NULL;
		watch_unref(watch);
	}
	lists_unref(leaks->lists);
	symbols_free(leaks->namer.symbols);
	regions_free(leaks->regions);
	close_fd(&leaks->ring_timer);
	close_fd(&leaks->epoll);
	free(leaks);
}

void leaks_notes_changed(struct leaks *leaks)
{
	struct lists *lists = NULL;

	if (leaks)
		lists = lists_new(&leaks->options.notes[NOTE_LEAKS_SKIP],
			&leaks->options.notes[NOTE_LEAKS_SUPPRESS], leaks->lists->edition + 1);
	if (!lists)
		return;
	lists_unref(leaks->lists);
	leaks->lists = lists;
	for (struct region *region = leaks_next(leaks, NULL); region; region = leaks_next(leaks, region))
		if (region->leaks)
			((struct watch *)region->leaks)->wanted = true;
}

void leaks_say_health(const struct leaks *leaks, struct board_health *health)
{
	struct regions_stat stat;

	if (!leaks->regions)
		return;
	regions_read_stat(leaks->regions, &stat);
	health->recorded = stat.live;
	health->recorded_total = stat.found_total;
	health->recorded_refused_total = stat.refused_total;
}

bool leaks_busy(const struct leaks *leaks)
{
	return leaks->regions && regions_busy(leaks->regions);
}

int leaks_fd(const struct leaks *leaks)
{
	return leaks->epoll;
}

void leaks_dispatch(struct leaks *leaks)
{
	jobs_dispatch(leaks->jobs);
	leaks_ring_dispatch(leaks);
	if (leaks->regions)
		regions_dispatch(leaks->regions);
}

void leaks_told_exec(struct leaks *leaks, uint32_t pid)
{
	if (leaks->regions)
		regions_told_exec(leaks->regions, pid);
}
