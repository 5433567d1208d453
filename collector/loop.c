/* SPDX-License-Identifier: MIT */
#include "collector/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collector/alerts/alarms.h"
#include "collector/args.h"
#include "collector/connector.h"
#include "collector/control/control.h"
#include "collector/control/control_server.h"
#include "collector/descriptors.h"
#include "collector/history/history.h"
#include "collector/inquiry/inquiry.h"
#include "collector/jobs.h"
#include "collector/leaks/leaks.h"
#include "collector/news.h"
#include "collector/sample/sampler.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"

enum {
	WORKERS = 1,           /* for settings, one write at a time */
	CONNECTOR_BATCH = 128, /* events a turn: some milliseconds where all are births */
	DYING_MAX = 1024,
	DYING_POLL_MS = 10,
};
static const int64_t TRIM_NS = INT64_C(60000000000);
static const int64_t DYING_PATIENCE_NS = 1000000000; /* then the sweep finds the end of a zombie */

struct dying {
	uint32_t pid;
	int64_t until_ns;
};

struct loop {
	const struct loop_options *options;
	struct board *board;
	struct sampler sampler;
	struct inquiries inquiries;
	struct control control;
	struct jobs *jobs;
	struct args_reader args;
	struct jobs *inquiry_jobs, *args_jobs; /* their workers may be stuck for ever */
	struct recorder *recorder;
	struct control_server *server;
	struct leaks *leaks;
	int epoll, timer, signals, connector;
	struct alarms alarms;
	struct history_events events; /* since the last tick */
	uint64_t next_event;          /* the first that is not among them yet */
	struct board_health health;
	uint64_t lost_before; /* what predecessors lost */
	uint64_t lost;        /* ticks that came too late, overruns of the connector */
	bool overrun;         /* since the last tick */
	bool stop;
	struct dying dying[DYING_MAX];
	size_t n_dying;
	int64_t dying_ns; /* last looked at */
	int64_t trimmed_ns;
};

/* What another thread has to say. */
struct telling {
	struct job job;
	struct board *board;
	enum board_news_kind kind;
	char text[BOARD_NEWS_TEXT];
};

static void telling_done(struct job *job)
{
	struct telling *telling = (struct telling *)job;
	news_push(telling->board, telling->kind, 0, telling->text);
	/* Of history that is not kept, and of what was lost, whoever looks into the log wants to know. */
	log_line(telling->kind == NEWS_DROPPED || telling->kind == NEWS_NODE ? LOG_LEVEL_WARNING
									     : LOG_LEVEL_INFO,
		"%s", telling->text);
	free(telling);
}

static void tell(void *ctx, enum board_news_kind kind, const char *text)
{
	struct loop *loop = ctx;
	struct telling *telling = calloc(1, sizeof(*telling));
	if (!telling) {
		log_warning("%s", text);
		return;
	}
	telling->job.done = telling_done;
	telling->board = loop->board;
	telling->kind = kind;
	strncpy(telling->text, text, sizeof(telling->text) - 1);
	jobs_post(loop->jobs, &telling->job);
}

static int set_interval(struct loop *loop, uint64_t interval_ms)
{
	/* Absolute: a late tick does not delay those after it. */
	const int64_t interval_ns = (int64_t)interval_ms * 1000000;
	const int64_t first_ns = clock_monotonic_ns() + interval_ns;
	const struct itimerspec spec = {
		.it_interval = { interval_ns / 1000000000, interval_ns % 1000000000 },
		.it_value = { first_ns / 1000000000, first_ns % 1000000000 },
	};
	loop->health.interval_ms = (uint32_t)interval_ms;
	return timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : -errno;
}

static void settings_changed(void *ctx, const struct settings *settings)
{
	struct loop *loop = ctx;
	uint64_t interval_ms = settings->value[SETTING_SAMPLE_INTERVAL_MS];
	struct settings before;
	char array[BOARD_NEWS_TEXT];
	struct buf text = BUF_FIXED(array);

	if (board_read_settings(loop->board, &before) != BOARD_FOUND)
		before = *settings;
	board_write_settings(loop->board, settings);
	if (interval_ms != loop->health.interval_ms && set_interval(loop, interval_ms) < 0)
		log_warning("the timer refuses an interval of %llu ms", (unsigned long long)interval_ms);

	for (int i = 0; i < N_SETTINGS; i++)
		if (settings->value[i] != before.value[i])
			buf_printf(&text, "%s%s %llu", text.len ? ", " : "", setting_rows[i].name,
				(unsigned long long)settings->value[i]);
	if (text.len == 0)
		return;
	buf_putc(&text, '\0');
	array[sizeof(array) - 1] = '\0';
	news_push(loop->board, NEWS_CONFIG, 0, array);
}

static void note_changed(void *ctx, enum note id, const struct note_text *note)
{
	struct loop *loop = ctx;
	struct note_text before;
	char text[64];

	if (board_read_note(loop->board, id, &before) != BOARD_FOUND)
		before = *note;
	board_write_note(loop->board, id, note);
	if (id == NOTE_ALERTS)
		alarms_set(&loop->alarms, note, loop->board);
	else if (id != NOTE_TAGS)
		leaks_notes_changed(loop->leaks);
	if (before.len == note->len && !memcmp(before.text, note->text, note->len))
		return;
	snprintf(text, sizeof(text), "%s changed", note_name[id]);
	news_push(loop->board, NEWS_CONFIG, 0, text);
}

static void say_health(struct loop *loop, int64_t tick_ns, int64_t sweep_ns)
{
	struct board_health *health = &loop->health;
	struct recorder_status status = { 0 };

	if (loop->recorder)
		recorder_status(loop->recorder, &status);
	int64_t now_ns = clock_monotonic_ns();
	health->generation++;
	health->tick_ns = now_ns;
	health->tick_us = (uint64_t)(now_ns - tick_ns) / 1000;
	health->sweep_us = (uint64_t)sweep_ns / 1000;
	health->processes = loop->sampler.table.n;
	health->history_bytes = status.bytes;
	health->history_state = status.state;
	health->dropped = loop->lost_before + loop->lost + status.dropped + loop->sampler.failures;
	health->births_from = loop->sampler.trusts_births ? BOARD_BIRTHS_CONNECTOR : BOARD_BIRTHS_SWEEP;
	health->sweep = sampler_sweep(&loop->sampler);
	leaks_say_health(loop->leaks, health);
	board_write_health(loop->board, health);
}

/* Before the tick that says that they ended. */
static void hand_over_remains(struct loop *loop)
{
	if (loop->recorder)
		recorder_put_remains(loop->recorder, &loop->sampler.remains);
	else
		remains_clear(&loop->sampler.remains);
}

static void tick(struct loop *loop)
{
	int64_t begin_ns = clock_monotonic_ns();
	if (loop->overrun)
		news_push(loop->board, NEWS_DROPPED, 0,
			"the kernel reported more births and ends than could be read");
	loop->overrun = false;

	/* Those of the tick before: who has come to this one is worth it. */
	args_read_new(&loop->args);
	sampler_tick(&loop->sampler);
	int64_t sweep_ns = clock_monotonic_ns() - begin_ns;
	if (loop->sampler.tasks_error < 0)
		log_warning("the BPF sweep failed (%s): sweeps are %s from now on",
			err_name(-loop->sampler.tasks_error),
			board_sweep_name[sampler_sweep(&loop->sampler)]);
	loop->sampler.tasks_error = 0;
	leaks_tick(loop->leaks);
	alarms_tick(&loop->alarms, &loop->sampler, &loop->control.in_force, loop->board);
	struct history_tick *history = sampler_history(&loop->sampler);
	history_events_collect(&loop->events, loop->board, &loop->next_event);
	if (history)
		history_events_move(&history->events, &loop->events);
	hand_over_remains(loop);
	if (history && loop->recorder)
		recorder_put(loop->recorder, history);
	else
		history_tick_free(history);
	if (begin_ns - loop->trimmed_ns >= TRIM_NS) {
		board_trim(loop->board);
		loop->trimmed_ns = begin_ns;
	}
	say_health(loop, begin_ns, sweep_ns);
}

static void on_timer(struct loop *loop)
{
	uint64_t expirations;
	if (read(loop->timer, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	loop->lost += expirations - 1;
	tick(loop);
}

static void add_dying(struct loop *loop, uint32_t pid)
{
	if (loop->n_dying < DYING_MAX)
		loop->dying[loop->n_dying++] =
			(struct dying) { pid, clock_monotonic_ns() + DYING_PATIENCE_NS };
}

/* Nobody reports that a zombie was reaped. Most are within a moment of their end. */
static void look_at_dying(struct loop *loop)
{
	int64_t now_ns = clock_monotonic_ns();
	if (loop->n_dying == 0 || now_ns - loop->dying_ns < DYING_POLL_MS * 1000000)
		return;
	loop->dying_ns = now_ns;
	size_t kept = 0;
	for (size_t i = 0; i < loop->n_dying; i++)
		if (!sampler_reaped(&loop->sampler, loop->dying[i].pid) && now_ns < loop->dying[i].until_ns)
			loop->dying[kept++] = loop->dying[i];
	loop->n_dying = kept;
}

static void on_event(void *ctx, const struct connector_event *event)
{
	struct loop *loop = ctx;
	switch (event->kind) {
	case CONNECTOR_LISTENING:
		/* One more listing, for what was born between the first one and now. */
		loop->sampler.trusts_births = true;
		sampler_list_soon(&loop->sampler);
		log_debug("births and ends come from the proc connector");
		break;
	case CONNECTOR_REFUSED:
		loop->sampler.trusts_births = false;
		break;
	default:
		if (sampler_told(&loop->sampler, event))
			add_dying(loop, event->pid);
		if (event->kind == CONNECTOR_EXEC && loop->leaks)
			leaks_told_exec(loop->leaks, event->pid);
		break;
	}
}

static void on_connector(struct loop *loop)
{
	int r = connector_read(loop->connector, CONNECTOR_BATCH, on_event, loop);
	if (r == CONNECTOR_OVERRUN) {
		loop->lost++;
		loop->overrun = true;
		sampler_list_soon(&loop->sampler);
	} else if (r < 0) {
		log_warning(
			"the proc connector failed (%s): births and ends come from listings", err_name(-r));
		loop->sampler.trusts_births = false;
		connector_close(loop->connector);
		loop->connector = -1;
	}
}

static void on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;
	if (read(loop->signals, &info, sizeof(info)) == sizeof(info))
		loop->stop = true;
}

static int watch(struct loop *loop, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* As it is stored; as the predecessor had it where nothing can be read. */
static void load_note(struct loop *loop, enum note id)
{
	struct note_text kept;
	int r = loop->recorder ? recorder_load_note(loop->recorder, id, &kept) : -ENODATA;

	if (r < 0 && board_read_note(loop->board, id, &kept) != BOARD_FOUND)
		return;
	/* Of another version there may be lines that this one does not know. */
	note_load(&loop->control.notes[id], &control_note_kind[id], kept.text, kept.len);
}

/* The recorder, the settings it has, and what the command line says beyond them. */
static void start_history(struct loop *loop)
{
	char boot_id[64] = "";
	size_t len = 0;
	struct control *control = &loop->control;

	int r = proc_read_short(
		loop->options->root->proc, "sys/kernel/random/boot_id", boot_id, sizeof(boot_id) - 1, &len);
	if (r == PROC_OK)
		boot_id[strcspn(boot_id, "\n")] = '\0';
	else /* a captured tree without one */
		strcpy(boot_id, "00000000-0000-0000-0000-000000000000");
	r = recorder_start(loop->options->state_dir, boot_id, loop->sampler.boot_ns / 1000000000, tell, loop,
		&loop->recorder);
	if (r < 0)
		log_warning("the recorder cannot start (%s): there is no history", err_name(-r));

	settings_init(&control->stored);
	if (loop->recorder) {
		r = recorder_load_settings(loop->recorder, &control->stored);
		if (r < 0)
			log_warning("the stored settings cannot be read (%s)", err_name(-r));
	}
	control->in_force = control->stored;
	control->fixed = loop->options->fixed;
	for (int i = 0; i < N_SETTINGS; i++) {
		if (control->fixed.value[i])
			control->in_force.value[i] = control->fixed.value[i];
	}
	for (int id = 0; id < N_NOTES; id++)
		load_note(loop, (enum note)id);
	control->recorder = loop->recorder;
}

/* Numbers of events go on where the history ends, or where the predecessor was killed. */
static void resume_events(struct loop *loop)
{
	uint64_t recorded = loop->recorder ? recorder_last_event(loop->recorder) : 0;

	board_resume_news(loop->board, recorded);
	uint64_t head = board_news_head(loop->board);
	loop->next_event = recorded && recorded <= head ? recorded + 1 : head + 1;
}

static void start_tasks(struct loop *loop)
{
	struct err err = { 0 };
	int wanted = loop->options->sweep;

	if (wanted == BOARD_SWEEP_PORTABLE || !loop->options->root->real)
		return;
	enum tasks_way best = wanted == BOARD_SWEEP_BPF_ITERATOR ? TASKS_ITERATOR : TASKS_WALK;
	if (sampler_start_tasks(&loop->sampler, best, &err) < 0)
		log_line(wanted < 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
			"no BPF sweep: %s; sweeps are portable", err.reason);
	else if (loop->sampler.tasks_way != best)
		log_info("sweeps are by BPF, with the iterator: %s", err.reason);
	else
		log_info("sweeps are by BPF");
}

static void start_connector(struct loop *loop)
{
	if (!loop->options->root->real)
		return;
	int fd = connector_open();
	if (fd >= 0 && watch(loop, fd) == 0)
		loop->connector = fd;
	else if (fd >= 0)
		connector_close(fd);
	else
		log_info("no proc connector (%s): births and ends come from listings", err_name(-fd));
}

static int start_leaks(struct loop *loop)
{
	const struct loop_options *options = loop->options;
	const struct leaks_options leaks = {
		.sampler = &loop->sampler,
		.board = loop->board,
		.recorder = loop->recorder,
		.settings = &loop->control.in_force,
		.notes = loop->control.notes,
		.state_dir = options->state_dir,
	};
	const struct regions_options regions = {
		.root = options->root,
		.sampler = &loop->sampler,
		.board = loop->board,
		.predecessor = &loop->health,
		.max = descriptors_for_regions(),
		.offers_fd = options->offers_fd,
		.holder_fd = options->holder_fd,
	};
	int r = leaks_new(&leaks, options->root->real ? &regions : NULL, &loop->leaks);
	loop->control.leaks = loop->leaks;
	return r < 0 ? r : watch(loop, leaks_fd(loop->leaks));
}

static int start(struct loop *loop)
{
	const struct loop_options *options = loop->options;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->epoll < 0 || loop->timer < 0 || loop->signals < 0)
		return -errno;
	int r = jobs_new(WORKERS, &loop->jobs);
	if (r == 0)
		r = jobs_new(INQUIRY_WORKERS, &loop->inquiry_jobs);
	if (r == 0)
		r = jobs_new(1, &loop->args_jobs);
	if (r < 0)
		return r;

	board_take_over(loop->board, &loop->health);
	loop->lost_before = loop->health.dropped;
	/* The predecessor's timer ended with it: ours is to be set even where the interval is the same. */
	loop->health.interval_ms = 0;
	/* Subscribed before the first listing: nothing falls between the two. */
	start_connector(loop);
	r = sampler_init(
		&loop->sampler, options->root, loop->board, descriptors_for_sampler(), &loop->health);
	if (r < 0)
		return r;
	start_tasks(loop);
	loop->health.collector_pid = (uint32_t)getpid();
	loop->health.boot_ns = (uint64_t)loop->sampler.boot_ns;

	control_init(&loop->control);
	loop->control.jobs = loop->jobs;
	loop->control.inquiries = &loop->inquiries;
	loop->control.changed = settings_changed;
	loop->control.note_changed = note_changed;
	loop->control.ctx = loop;
	loop->args = (struct args_reader) { .sampler = &loop->sampler, .jobs = loop->args_jobs };
	loop->inquiries = (struct inquiries) { .sampler = &loop->sampler, .jobs = loop->inquiry_jobs };
	start_history(loop);
	resume_events(loop);
	settings_changed(loop, &loop->control.in_force);
	for (int id = 0; id < N_NOTES; id++)
		note_changed(loop, (enum note)id, &loop->control.notes[id]);
	alarms_restore(&loop->alarms, &loop->sampler, loop->board);
	r = start_leaks(loop);
	if (r < 0)
		return r;
	if (options->control_fd >= 0) {
		r = control_server_new(options->control_fd, options->server_uid, control_handle,
			&loop->control, &loop->server);
		if (r < 0)
			return r;
		r = watch(loop, control_server_fd(loop->server));
	}
	const int fds[] = { loop->timer, loop->signals, jobs_fd(loop->jobs), jobs_fd(loop->inquiry_jobs),
		jobs_fd(loop->args_jobs) };
	for (size_t i = 0; r == 0 && i < sizeof(fds) / sizeof(*fds); i++)
		r = watch(loop, fds[i]);
	return r;
}

static void turn(struct loop *loop)
{
	struct epoll_event events[8];
	int n = epoll_wait(loop->epoll, events, 8, loop->n_dying ? DYING_POLL_MS : -1);
	bool births = false, requests = false, results = false, answers = false, args = false, leaks = false;

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;
		if (fd == loop->timer)
			on_timer(loop);
		else if (fd == loop->signals)
			on_signal(loop);
		else if (fd == loop->connector)
			births = true;
		else if (fd == jobs_fd(loop->jobs))
			results = true;
		else if (fd == jobs_fd(loop->inquiry_jobs))
			answers = true;
		else if (fd == jobs_fd(loop->args_jobs))
			args = true;
		else if (fd == leaks_fd(loop->leaks))
			leaks = true;
		else
			requests = true;
	}
	if (results)
		jobs_dispatch(loop->jobs);
	if (answers)
		jobs_dispatch(loop->inquiry_jobs);
	if (args)
		jobs_dispatch(loop->args_jobs);
	if (requests) {
		control_server_dispatch(loop->server);
		inquiries_tidy(&loop->inquiries);
	}
	/* Before the ends that the kernel reports: a region that waits in the socket is of one that ended. */
	if (leaks)
		leaks_dispatch(loop->leaks);
	if (births)
		on_connector(loop);
	/* In a storm before the ring is full: then it is known what is left out. */
	if (board_news_head(loop->board) - loop->next_event + 1 >= BOARD_NEWS / 2)
		history_events_collect(&loop->events, loop->board, &loop->next_event);
	look_at_dying(loop);
}

static void say_ready(const struct loop_options *options)
{
	if (options->ready_fd < 0)
		return;
	if (write(options->ready_fd, "r", 1) != 1)
		log_warning("nobody waits for this collector to be ready");
	close(options->ready_fd);
}

int loop_run(const struct loop_options *options)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	loop->options = options;
	loop->board = options->board;
	loop->epoll = loop->timer = loop->signals = loop->connector = -1;

	int r = start(loop);
	if (r == 0) {
		tick(loop);
		say_ready(options);
		log_info("%llu processes every %u ms", (unsigned long long)loop->health.processes,
			loop->health.interval_ms);
		while (!loop->stop)
			turn(loop);
		tick(loop); /* what happened since the last one is history as well */
	} else {
		log_error("the collector cannot start: %s", err_name(-r));
	}

	/* Work may wait for the recorder, and the recorder tells through the queue of results: threads, it,
	 * queue. */
	jobs_stop(loop->jobs);
	leaks_stop(loop->leaks);
	hand_over_remains(loop);
	if (loop->recorder)
		recorder_stop(loop->recorder);
	/* All is stored. Who looks into a process that keeps its mmap lock cannot be waited for. */
	if (loop->inquiries.n_running)
		jobs_dispatch(loop->inquiry_jobs);
	if (loop->args.busy)
		jobs_dispatch(loop->args_jobs);
	if (loop->inquiries.n_running || loop->args.busy || (loop->leaks && leaks_busy(loop->leaks)))
		_exit(EXIT_SUCCESS);
	leaks_free(loop->leaks);
	jobs_free(loop->args_jobs);
	jobs_free(loop->inquiry_jobs);
	inquiries_deinit(&loop->inquiries);
	jobs_free(loop->jobs);
	control_server_free(loop->server);
	if (loop->connector >= 0)
		connector_close(loop->connector);
	sampler_deinit(&loop->sampler);
	alarms_deinit(&loop->alarms);
	history_events_deinit(&loop->events);
	close_fd(&loop->epoll);
	close_fd(&loop->timer);
	close_fd(&loop->signals);
	free(loop);
	return r;
}
