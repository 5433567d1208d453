/* SPDX-License-Identifier: MIT */
/*
 * The recorder's thread, its queue and what it tells. All that the two threads share is under the mutex; the
 * writer is the thread's own.
 */
#include "collector/history/history.h"
#include "collector/history/history_ended.h"
#include "collector/history/history_tick.h"
#include "collector/history/history_writer.h"
#include "schema/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 10, RETRY_MS = 10000, TELL_MS = 60000 };

/* What is to be stored: settings, or a note. */
struct request {
	const struct settings *settings;
	const struct note_text *note;
	enum note id;
};

struct recorder {
	pthread_t thread;
	recorder_tell_fn *tell;
	void *tell_ctx;
	char *state_dir, *boot_uuid;

	pthread_mutex_t mutex;
	pthread_cond_t work;   /* a tick, a request, or the end */
	pthread_cond_t answer; /* opened for the first time; a request done */
	struct history_tick *queue[QUEUE_MAX];
	size_t first, n;
	struct remains_batch remains;
	struct leaks_queue leaks; /* to be stored with the next tick that is */
	bool stop, opened;
	const struct request *request; /* NULL: none; in the caller's frame, who waits */
	struct err *request_err;
	int request_result;
	bool request_done;
	unsigned retry_ms;
	struct recorder_status status;
	bool has_settings;
	struct settings settings; /* as the database has them */
	struct note_text notes[N_NOTES];
	uint64_t last_event;

	/* The thread's own. */
	struct writer writer;
	int trouble;          /* outcome that keeps it from recording; 0: none */
	int64_t trouble_ns;   /* monotonic: when it was last met */
	int64_t set_aside_ns; /* monotonic: when one was last set aside; 0: never */
	uint64_t missed;      /* ticks since the trouble began */
	int64_t left_out_ns;  /* monotonic: when it was last told that remains were left out; 0: never */
};

/* --- what is told --- */

static enum board_history state_of(int trouble)
{
	switch (trouble) {
	case STORE_OK:
		return BOARD_HISTORY_OK;
	case STORE_FULL:
		return BOARD_HISTORY_FULL;
	case STORE_READ_ONLY:
		return BOARD_HISTORY_READ_ONLY;
	default:
		return BOARD_HISTORY_ABSENT;
	}
}

static const char *trouble_text(int trouble, char *text, size_t cap)
{
	switch (trouble) {
	case STORE_ABSENT:
		return "its directory or its file is gone";
	case STORE_DAMAGED:
		return "the database is damaged";
	case STORE_NEWER:
		return "a later version of memfs wrote the database";
	case STORE_FULL:
		return "no space is left for it";
	case STORE_READ_ONLY:
		return "it cannot be written";
	case STORE_BUSY:
		return "something else holds the database";
	default:
		snprintf(text, cap, "%s", strerrordesc_np(-trouble));
		return text;
	}
}

/* Tells once a change, never once a tick. */
static void set_trouble(struct recorder *recorder, int trouble)
{
	char text[160], reason[80];
	int before = recorder->trouble;

	recorder->trouble = trouble;
	pthread_mutex_lock(&recorder->mutex);
	recorder->status.state = state_of(trouble);
	if (trouble && !recorder->writer.store)
		recorder->status.bytes = 0;
	pthread_mutex_unlock(&recorder->mutex);
	recorder->trouble_ns = clock_monotonic_ns();
	if (trouble == before)
		return;
	if (trouble) {
		snprintf(text, sizeof(text), "history is not kept: %s",
			trouble_text(trouble, reason, sizeof(reason)));
	} else {
		snprintf(text, sizeof(text), "history is kept again; %" PRIu64 " ticks are missing",
			recorder->missed);
		recorder->missed = 0;
	}
	recorder->tell(recorder->tell_ctx, NEWS_NODE, text);
}

static void count_missed(struct recorder *recorder)
{
	recorder->missed++;
	pthread_mutex_lock(&recorder->mutex);
	recorder->status.dropped++;
	pthread_mutex_unlock(&recorder->mutex);
}

/* --- the database --- */

/* Whether the time to wait has passed since then. */
static bool is_over(struct recorder *recorder, int64_t since_ns)
{
	pthread_mutex_lock(&recorder->mutex);
	int64_t pause_ns = recorder->retry_ms * INT64_C(1000000);
	pthread_mutex_unlock(&recorder->mutex);
	return clock_monotonic_ns() - since_ns >= pause_ns;
}

/* A damaged one makes place for a new one; not twice in a row, for then it is the device that damages. */
static bool set_aside(struct recorder *recorder, char *text, size_t cap)
{
	char name[128];

	if (recorder->set_aside_ns && !is_over(recorder, recorder->set_aside_ns))
		return false;
	recorder->set_aside_ns = clock_monotonic_ns();
	if (store_set_aside(recorder->state_dir, name, sizeof(name)))
		return false;
	snprintf(text, cap, "history was damaged; it is kept as %s, and a new one begins", name);
	return true;
}

/* Opens, with a damaged database set aside; `text` gets what is to be told of that, or stays empty. */
static int open_database(struct recorder *recorder, char *text, size_t cap)
{
	int r = writer_open(&recorder->writer, NULL);

	if (r == STORE_DAMAGED && set_aside(recorder, text, cap))
		r = writer_open(&recorder->writer, NULL);
	if (!r) {
		pthread_mutex_lock(&recorder->mutex);
		recorder->has_settings = true;
		recorder->settings = recorder->writer.settings;
		memcpy(recorder->notes, recorder->writer.notes, sizeof(recorder->notes));
		recorder->last_event = recorder->writer.last_event;
		recorder->status.bytes = (uint64_t)store_bytes(recorder->writer.store);
		pthread_mutex_unlock(&recorder->mutex);
	}
	return r;
}

static int reopen(struct recorder *recorder)
{
	char text[200] = "";
	int r;

	writer_close(&recorder->writer);
	r = open_database(recorder, text, sizeof(text));
	if (*text)
		recorder->tell(recorder->tell_ctx, NEWS_NODE, text);
	return r;
}

/* What a failed call means for the connection. */
static void fail(struct recorder *recorder, int r)
{
	/* Where there is no room or another writes, the connection is as good as any. */
	if (r != STORE_FULL && r != STORE_BUSY && r != -ENOMEM)
		writer_close(&recorder->writer);
	set_trouble(recorder, r);
}

static int write_tick(struct recorder *recorder, int64_t time_ns)
{
	int r = recorder->writer.store ? 0 : reopen(recorder);

	if (!r)
		r = writer_write(&recorder->writer, time_ns);
	/* Deleted under us, or damaged: a new database takes this very tick. */
	if (r == STORE_ABSENT || r == STORE_DAMAGED) {
		int again = reopen(recorder);

		r = again ? again : writer_write(&recorder->writer, time_ns);
	}
	return r;
}

static void tell_left_out(struct recorder *recorder)
{
	struct remains_batch *remains = &recorder->writer.remains;
	int64_t now_ns = clock_monotonic_ns();
	char text[160];

	if (!remains->left_out ||
		(recorder->left_out_ns && now_ns - recorder->left_out_ns < TELL_MS * INT64_C(1000000)))
		return;
	recorder->left_out_ns = now_ns;
	snprintf(text, sizeof(text),
		"of %" PRIu64 " processes that ended nothing remains: they were too many at once",
		remains->left_out);
	remains->left_out = 0;
	recorder->tell(recorder->tell_ctx, NEWS_DROPPED, text);
}

/* What remains of ended processes waits here for a tick that can be written. */
static void take_remains(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->mutex);
	remains_move(&recorder->writer.remains, &recorder->remains);
	pthread_mutex_unlock(&recorder->mutex);
	tell_left_out(recorder);
}

/* Where the database takes a tick. What it does not take waits for the next. */
static void record_leaks(struct recorder *recorder)
{
	struct history_leaks *leaks;

	while (recorder->writer.store && (leaks = leaks_queue_first(&recorder->leaks, &recorder->mutex))) {
		if (writer_put_leaks(&recorder->writer, leaks))
			break;
		if (leaks->stored)
			leaks->stored(leaks->ctx);
		leaks_queue_drop(&recorder->leaks, &recorder->mutex);
	}
}

static void record(struct recorder *recorder, struct history_tick *tick)
{
	int64_t time_ns = tick->time_ns;
	int r;

	take_remains(recorder);
	/* Without memory for some process the others are recorded. */
	(void)writer_apply(&recorder->writer, tick);
	if (recorder->trouble && !is_over(recorder, recorder->trouble_ns)) {
		writer_skip(&recorder->writer);
		count_missed(recorder);
		return;
	}
	r = write_tick(recorder, time_ns);
	if (r) {
		writer_skip(&recorder->writer);
		count_missed(recorder);
		fail(recorder, r);
		return;
	}
	int64_t bytes = store_bytes(recorder->writer.store);
	/* Who sees that it is recorded sees that it can be. */
	if (recorder->trouble)
		set_trouble(recorder, 0);
	pthread_mutex_lock(&recorder->mutex);
	recorder->status.recorded_ns = time_ns;
	recorder->status.bytes = (uint64_t)bytes;
	pthread_mutex_unlock(&recorder->mutex);
	record_leaks(recorder);
}

static bool step(struct recorder *recorder)
{
	bool more = false;

	if (recorder->trouble || !recorder->writer.store)
		return false;
	int r = writer_step(&recorder->writer, &more);
	if (!r)
		return more;
	if (r == STORE_DAMAGED || r == STORE_ABSENT)
		r = reopen(recorder);
	if (r)
		fail(recorder, r);
	return false;
}

static int store_request(struct recorder *recorder, const struct request *request, struct err *err)
{
	char reason[80];
	int r = recorder->trouble;

	if (recorder->writer.store)
		r = request->settings ? writer_put_settings(&recorder->writer, request->settings)
				      : writer_put_note(&recorder->writer, request->id, request->note);
	if (!r)
		return 0;
	int code = r == STORE_FULL ? ENOSPC : r == STORE_READ_ONLY ? EROFS : EIO;
	return err_set(err, code, "%s are not stored: %s",
		request->settings ? "settings" : note_name[request->id],
		trouble_text(r, reason, sizeof(reason)));
}

/* --- the thread --- */

/* Called with the mutex held, returns with it held. */
static void answer_request(struct recorder *recorder)
{
	const struct request *request = recorder->request;
	struct err *err = recorder->request_err;

	recorder->request = NULL;
	pthread_mutex_unlock(&recorder->mutex);
	int r = store_request(recorder, request, err);
	pthread_mutex_lock(&recorder->mutex);
	if (!r && request->settings)
		recorder->settings = *request->settings;
	else if (!r)
		recorder->notes[request->id] = *request->note;
	recorder->request_result = r;
	recorder->request_done = true;
	pthread_cond_broadcast(&recorder->answer);
}

static void run(struct recorder *recorder)
{
	bool more = true;

	pthread_mutex_lock(&recorder->mutex);
	for (;;) {
		if (recorder->request) {
			answer_request(recorder);
			more = true;
		}
		struct history_tick *tick = NULL;
		if (recorder->n) {
			tick = recorder->queue[recorder->first];
			recorder->first = (recorder->first + 1) % QUEUE_MAX;
			recorder->n--;
		} else if (recorder->stop) {
			break;
		} else if (!more) {
			pthread_cond_wait(&recorder->work, &recorder->mutex);
			continue;
		}
		pthread_mutex_unlock(&recorder->mutex);
		if (tick) {
			record(recorder, tick);
			history_tick_free(tick);
		}
		/* A step after each tick, too: packing goes on however fast they come. */
		more = step(recorder);
		pthread_mutex_lock(&recorder->mutex);
	}
	pthread_mutex_unlock(&recorder->mutex);
}

static void *thread_main(void *arg)
{
	struct recorder *recorder = arg;
	char text[200] = "";
	int r = open_database(recorder, text, sizeof(text));

	pthread_mutex_lock(&recorder->mutex);
	recorder->opened = true;
	recorder->status.state = state_of(r);
	pthread_cond_broadcast(&recorder->answer);
	pthread_mutex_unlock(&recorder->mutex);
	if (*text)
		recorder->tell(recorder->tell_ctx, NEWS_NODE, text);
	if (r)
		set_trouble(recorder, r);
	run(recorder);
	take_remains(recorder);
	if (recorder->writer.store && recorder->writer.remains.n)
		(void)writer_flush_remains(&recorder->writer);
	if (!recorder->trouble)
		record_leaks(recorder);
	writer_end_segment(&recorder->writer);
	while (step(recorder))
		;
	writer_close(&recorder->writer);
	return NULL;
}

/* --- for the sampler's thread --- */

static int spawn(struct recorder *recorder)
{
	sigset_t all, before;
	int r;

	/* Signals are the main thread's; and SIGXFSZ, blocked, leaves the write to fail with EFBIG. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&recorder->thread, NULL, thread_main, recorder);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void recorder_free(struct recorder *recorder)
{
	for (; recorder->n; recorder->n--) {
		history_tick_free(recorder->queue[recorder->first]);
		recorder->first = (recorder->first + 1) % QUEUE_MAX;
	}
	leaks_queue_deinit(&recorder->leaks);
	writer_deinit(&recorder->writer);
	remains_deinit(&recorder->remains);
	pthread_cond_destroy(&recorder->answer);
	pthread_cond_destroy(&recorder->work);
	pthread_mutex_destroy(&recorder->mutex);
	free(recorder->state_dir);
	free(recorder->boot_uuid);
	free(recorder);
}

int recorder_start(const char *state_dir, const char *boot_uuid, int64_t boot_s, recorder_tell_fn *tell,
	void *ctx, struct recorder **ret_recorder)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int r;

	if (!recorder)
		return -ENOMEM;
	recorder->tell = tell;
	recorder->tell_ctx = ctx;
	recorder->retry_ms = RETRY_MS;
	pthread_mutex_init(&recorder->mutex, NULL);
	pthread_cond_init(&recorder->work, NULL);
	pthread_cond_init(&recorder->answer, NULL);
	recorder->state_dir = strdup(state_dir);
	recorder->boot_uuid = strdup(boot_uuid);
	writer_init(&recorder->writer, recorder->state_dir, recorder->boot_uuid, boot_s);
	r = recorder->state_dir && recorder->boot_uuid ? spawn(recorder) : -ENOMEM;
	if (r) {
		recorder_free(recorder);
		return r;
	}
	pthread_mutex_lock(&recorder->mutex);
	while (!recorder->opened)
		pthread_cond_wait(&recorder->answer, &recorder->mutex);
	pthread_mutex_unlock(&recorder->mutex);
	*ret_recorder = recorder;
	return 0;
}

void recorder_set_retry(struct recorder *recorder, unsigned ms)
{
	pthread_mutex_lock(&recorder->mutex);
	recorder->retry_ms = ms;
	pthread_mutex_unlock(&recorder->mutex);
}

void recorder_stop(struct recorder *recorder)
{
	if (!recorder)
		return;
	pthread_mutex_lock(&recorder->mutex);
	recorder->stop = true;
	pthread_cond_signal(&recorder->work);
	pthread_mutex_unlock(&recorder->mutex);
	pthread_join(recorder->thread, NULL);
	recorder_free(recorder);
}

void recorder_put(struct recorder *recorder, struct history_tick *tick)
{
	struct history_tick *last = NULL;

	pthread_mutex_lock(&recorder->mutex);
	if (recorder->n == QUEUE_MAX) {
		/* Only this thread adds: the place stays free while the two are merged. */
		recorder->n--;
		recorder->status.dropped++;
		last = recorder->queue[(recorder->first + recorder->n) % QUEUE_MAX];
	}
	pthread_mutex_unlock(&recorder->mutex);
	if (last)
		tick = history_tick_merge(last, tick);
	if (!tick)
		return;
	pthread_mutex_lock(&recorder->mutex);
	recorder->queue[(recorder->first + recorder->n++) % QUEUE_MAX] = tick;
	pthread_cond_signal(&recorder->work);
	pthread_mutex_unlock(&recorder->mutex);
}

void recorder_put_remains(struct recorder *recorder, struct remains_batch *batch)
{
	pthread_mutex_lock(&recorder->mutex);
	remains_move(&recorder->remains, batch);
	pthread_mutex_unlock(&recorder->mutex);
}

void recorder_put_leaks(struct recorder *recorder, struct history_leaks *leaks)
{
	leaks_queue_put(&recorder->leaks, &recorder->mutex, leaks);
}

void recorder_status(struct recorder *recorder, struct recorder_status *ret)
{
	pthread_mutex_lock(&recorder->mutex);
	*ret = recorder->status;
	pthread_mutex_unlock(&recorder->mutex);
}

static int load(struct recorder *recorder, void *ret, const void *from, size_t n)
{
	int r = -ENODATA;

	pthread_mutex_lock(&recorder->mutex);
	if (recorder->has_settings) {
		memcpy(ret, from, n);
		r = 0;
	}
	pthread_mutex_unlock(&recorder->mutex);
	return r;
}

int recorder_load_settings(struct recorder *recorder, struct settings *settings)
{
	return load(recorder, settings, &recorder->settings, sizeof(*settings));
}

static int save(struct recorder *recorder, const struct request *request, struct err *err)
{
	int r;

	pthread_mutex_lock(&recorder->mutex);
	recorder->request = request;
	recorder->request_err = err;
	recorder->request_done = false;
	pthread_cond_signal(&recorder->work);
	while (!recorder->request_done)
		pthread_cond_wait(&recorder->answer, &recorder->mutex);
	r = recorder->request_result;
	pthread_mutex_unlock(&recorder->mutex);
	return r;
}

int recorder_save_settings(struct recorder *recorder, const struct settings *settings, struct err *err)
{
	return save(recorder, &(const struct request) { .settings = settings }, err);
}

int recorder_load_note(struct recorder *recorder, enum note id, struct note_text *note)
{
	return load(recorder, note, &recorder->notes[id], sizeof(*note));
}

int recorder_save_note(struct recorder *recorder, enum note id, const struct note_text *note, struct err *err)
{
	return save(recorder, &(const struct request) { .note = note, .id = id }, err);
}

uint64_t recorder_last_event(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->mutex);
	uint64_t seq = recorder->last_event;
	pthread_mutex_unlock(&recorder->mutex);
	return seq;
}
