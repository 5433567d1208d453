/* SPDX-License-Identifier: MIT */
/*
 * The recorder against a world that can be computed: what a process was at any second is a function of its
 * number and the second, so every sample that was acknowledged can be asked for again, after whatever
 * happened between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "collector/history.h"
#include "schema/base/clock.h"
#include "schema/history.h"
#include "tests/unit/scratch.h"

enum { PROCESSES = 600, BASE = 1700000000 };
#define BOOT "6f1c2c3a-0000-4000-8000-000000000001"
#define NS   INT64_C(1000000000)

/* --- the world --- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (b + 1) * UINT64_C(0xc2b2ae3d27d4eb4f);

	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

struct being {
	bool alive;
	uint64_t start_ticks;
	struct process_values values;
};

/* The first hundred live for ever; the others come and go under the same pid. */
static struct being being_at(unsigned p, int64_t t)
{
	struct being being = { .alive = true, .start_ticks = 1 };
	int64_t life = 40 + (int64_t)(mix(p, 1) % 200), period = p % 3 == 0 ? 1 : p % 3 == 1 ? 13 : 100000;

	if (p >= 100) {
		int64_t age = (t - BASE + 100000 + p * 37) % life;
		being.start_ticks = (uint64_t)((t - BASE + 100000 + p * 37) / life);
		being.alive = age < life - 15;
	}
	for (unsigned m = 0; m < N_PROCESS_METRICS; m++) {
		uint64_t h = mix(p * 64 + m, (uint64_t)(t / period));

		if (h % 16 == 3 && m > 4)
			continue;
		process_values_set(&being.values, m, h % 5 ? (h >> 40) * 4096 : h);
	}
	return being;
}

static struct system_values system_at(int64_t t)
{
	struct system_values values = { 0 };

	for (unsigned m = 0; m < N_SYSTEM_METRICS; m++)
		system_values_set(&values, m, mix(m + 77777, (uint64_t)t) >> 20);
	return values;
}

/* What a sampler that last looked at `before` (0: never) tells at t. */
static struct history_tick *tick_at(unsigned processes, int64_t before, int64_t t)
{
	struct history_tick *tick = history_tick_new(2 * processes);
	size_t n = 0;

	assert_non_null(tick);
	tick->time_ns = t * NS + 5000;
	tick->system = system_at(t);
	for (unsigned p = 0; p < processes; p++) {
		struct being now = being_at(p, t), was = being_at(p, before ? before : t);
		bool known = before && was.alive,
		     same = known && now.alive && was.start_ticks == now.start_ticks;

		if (known && !same) {
			tick->entry[n++] = (struct history_entry) {
				.pid = 1000 + p, .start_ticks = was.start_ticks, .ended = true
			};
		}
		if (!now.alive || (same && !memcmp(&was.values, &now.values, sizeof(now.values))))
			continue;
		tick->entry[n] = (struct history_entry) { .pid = 1000 + p,
			.uid = p,
			.start_ticks = now.start_ticks,
			.start_s = BASE,
			.born = !same,
			.values = now.values };
		snprintf(tick->entry[n++].comm, BOARD_COMM, "p\n%u", p);
	}
	tick->n = n;
	return tick;
}

/* --- feeding --- */

struct told {
	pthread_mutex_t mutex;
	unsigned count;
	char text[4000];
};

static void on_tell(void *ctx, enum board_news_kind kind, const char *text)
{
	struct told *told = ctx;

	pthread_mutex_lock(&told->mutex);
	told->count++;
	if (kind == NEWS_NODE && strlen(told->text) + strlen(text) + 2 < sizeof(told->text))
		strcat(strcat(told->text, text), "\n");
	pthread_mutex_unlock(&told->mutex);
}

/* Waits for `done` to say so, for at most 20 s. */
static bool until(
	bool (*done)(struct recorder *recorder, int64_t arg), struct recorder *recorder, int64_t arg)
{
	int64_t limit = clock_monotonic_ns() + 20 * NS;

	while (!done(recorder, arg)) {
		if (clock_monotonic_ns() > limit)
			return false;
		struct timespec little = { 0, 50000 };
		nanosleep(&little, NULL);
	}
	return true;
}

static bool is_recorded(struct recorder *recorder, int64_t time_ns)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return status.recorded_ns == time_ns;
}

static bool has_dropped(struct recorder *recorder, int64_t dropped)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return (int64_t)status.dropped >= dropped;
}

static void feed(struct recorder *recorder, unsigned processes, int64_t before, int64_t t)
{
	struct history_tick *tick = tick_at(processes, before, t);
	int64_t time_ns = tick->time_ns;

	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, time_ns));
}

static struct recorder *start(const struct scratch *scratch, struct told *told)
{
	struct recorder *recorder = NULL;

	assert_int_equal(recorder_start(scratch->path, BOOT, BASE - 1000, on_tell, told, &recorder), 0);
	return recorder;
}

static enum board_history state_of(struct recorder *recorder)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return status.state;
}

/* --- asking --- */

enum { TIMES_MAX = 20000 };

/* The seconds that have to be there, in order; `perhaps` may be. */
struct times {
	size_t n;
	int64_t t[TIMES_MAX];
	bool perhaps[TIMES_MAX];
};

static void times_add(struct times *times, int64_t t, bool perhaps)
{
	assert_true(times->n < TIMES_MAX);
	times->t[times->n] = t;
	times->perhaps[times->n++] = perhaps;
}

struct asking {
	const struct times *times;
	size_t at;
	unsigned p;
	bool node;
	uint64_t start_ticks;
	const char *wrong;
	int64_t wrong_t;
};

static bool expects(const struct asking *asking, int64_t t)
{
	struct being being = being_at(asking->p, t);

	return asking->node || (being.alive && being.start_ticks == asking->start_ticks);
}

static int wrong(struct asking *asking, const char *what, int64_t t)
{
	asking->wrong = what;
	asking->wrong_t = t;
	return 99;
}

static int on_sample(void *ctx, int64_t time_s, uint64_t present, const uint64_t *value)
{
	struct asking *asking = ctx;
	const struct times *times = asking->times;

	while (asking->at < times->n && times->t[asking->at] < time_s) {
		int64_t t = times->t[asking->at];
		if (!times->perhaps[asking->at] && expects(asking, t))
			return wrong(asking, "lost", t);
		asking->at++;
	}
	if (asking->at == times->n || times->t[asking->at] != time_s)
		return wrong(asking, "made up or doubled", time_s);
	asking->at++;
	if (!expects(asking, time_s))
		return wrong(asking, "sample of one that did not live", time_s);
	const struct metric_list *list = asking->node ? &system_metrics : &process_metrics;
	struct being being = being_at(asking->p, time_s);
	struct system_values node = system_at(time_s);
	for (unsigned c = 0; c < history_columns(list); c++) {
		unsigned m = (unsigned)history_column_metric(list, c);
		bool has = asking->node || metric_has(being.values.present, m);
		uint64_t expected = asking->node ? node.value[m] : being.values.value[m];

		if (metric_has(present, c) != has || (has && value[c] != expected))
			return wrong(asking, "another value", time_s);
	}
	return 0;
}

static void ask(struct store *store, int64_t subject, struct asking *asking)
{
	int64_t from = asking->times->t[0], to = asking->times->t[asking->times->n - 1];
	int r = history_each(store, subject, from, to, on_sample, asking);

	for (; !r && asking->at < asking->times->n; asking->at++) {
		int64_t t = asking->times->t[asking->at];
		if (!asking->times->perhaps[asking->at] && expects(asking, t))
			r = wrong(asking, "lost", t);
	}
	if (r)
		print_error("subject %" PRId64 " process %u: %d %s at %" PRId64
			    " (second %d of its minute)\n",
			subject, asking->p, r, asking->wrong ? asking->wrong : "", asking->wrong_t,
			(int)(asking->wrong_t % 60));
	assert_int_equal(r, 0);
}

/* Every incarnation that a process had at one of the times. */
static void ask_process(struct store *store, const struct times *times, unsigned p)
{
	uint64_t last = 0;

	for (size_t i = 0; i < times->n; i++) {
		struct being being = being_at(p, times->t[i]);
		int64_t subject;

		if (!being.alive || being.start_ticks == last || times->perhaps[i])
			continue;
		last = being.start_ticks;
		assert_int_equal(store_find_subject(store, 1000 + p, last, &subject), STORE_OK);
		struct asking asking = { .times = times, .p = p, .start_ticks = last };
		ask(store, subject, &asking);
	}
}

static void ask_some(
	const struct scratch *scratch, const struct times *times, unsigned processes, unsigned step)
{
	struct store *store;

	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	struct asking asking = { .times = times, .node = true };
	ask(store, HISTORY_NODE, &asking);
	for (unsigned p = times->n % step; p < processes; p += step)
		ask_process(store, times, p);
	store_close(store);
}

static void check(const struct scratch *scratch)
{
	struct store *store;
	struct err err = { 0 };

	assert_int_equal(store_open_writer(scratch->path, &store, NULL), STORE_OK);
	if (store_check(store, &err))
		fail_msg("%s", err.reason);
	store_close(store);
}

/* --- a place for all that --- */

struct fixture {
	struct scratch scratch;
	struct told told;
	struct times times;
	bool mounted;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	pthread_mutex_init(&fixture->told.mutex, NULL);
	return scratch_make(&fixture->scratch);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->mounted)
		umount2(fixture->scratch.path, MNT_DETACH);
	scratch_remove(&fixture->scratch);
	pthread_mutex_destroy(&fixture->told.mutex);
	free(fixture);
	return 0;
}

static bool was_told(struct told *told, const char *part, unsigned times)
{
	unsigned n = 0;

	pthread_mutex_lock(&told->mutex);
	for (const char *at = told->text; (at = strstr(at, part)); at++)
		n++;
	pthread_mutex_unlock(&told->mutex);
	if (n != times)
		print_error("told %u times, not %u: %s\n%s", n, times, part, told->text);
	return n == times;
}

/* --- tests --- */

static void what_was_recorded_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);

	for (int64_t t = BASE + 10, before = 0; t < BASE + 10 + 400; before = t, t += 1 + (t % 17 == 0) * 5) {
		feed(recorder, PROCESSES, before, t);
		times_add(&fixture->times, t, false);
		if (t % 13 == 0)
			ask_some(&fixture->scratch, &fixture->times, PROCESSES, 97);
	}
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	check(&fixture->scratch);
	assert_int_equal(fixture->told.count, 0);
}

/* A minute that is stopped in its middle is packed twice, and is one. */
static void a_restart_within_a_minute_goes_on(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t t = BASE, before = 0; t < BASE + 150;) {
		struct recorder *recorder = start(&fixture->scratch, &fixture->told);

		before = 0;
		for (int i = 0; i < 7; i++, before = t, t++) {
			feed(recorder, 40, before, t);
			times_add(&fixture->times, t, false);
		}
		recorder_stop(recorder);
	}
	ask_some(&fixture->scratch, &fixture->times, 40, 1);
	check(&fixture->scratch);
}

/* Samples at any interval: of several in a second the last counts. */
static void many_ticks_a_second_are_one_sample(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);

	for (int64_t t = BASE, before = 0; t < BASE + 70; t++) {
		for (int i = 0; i < 5; i++) {
			/* The world a while later, told as early in this second. */
			struct history_tick *tick = tick_at(20, before, i == 4 ? t : t + 300 + i);
			int64_t time_ns = t * NS + i * 1000;

			before = i == 4 ? t : t + 300 + i;
			tick->time_ns = time_ns;
			if (i != 4 && t < BASE + 5)
				tick->system = system_at(1);
			recorder_put(recorder, tick);
			assert_true(until(is_recorded, recorder, time_ns));
		}
		times_add(&fixture->times, t, false);
	}
	/* Those that live throughout: what others were within a second has samples of its own right. */
	for (int round = 0; round < 2; round++) {
		struct store *store;

		assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
		struct asking asking = { .times = &fixture->times, .node = true };
		ask(store, HISTORY_NODE, &asking);
		for (unsigned p = 0; p < 20; p++)
			ask_process(store, &fixture->times, p);
		store_close(store);
		if (round == 0)
			recorder_stop(recorder);
	}
}

static void the_clock_may_go_back(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t before = 0;

	/* Within the minute, then by an hour, then forth again over what is packed. */
	static const int64_t leaps[][2] = { { 0, 100 }, { 80, 90 }, { -3600, -3500 }, { 0, 130 },
		{ 20, 30 } };
	for (size_t i = 0; i < sizeof(leaps) / sizeof(leaps[0]); i++) {
		for (int64_t t = BASE + leaps[i][0]; t < BASE + leaps[i][1]; before = t, t++)
			feed(recorder, 30, before, t);
	}
	for (int64_t t = BASE - 3600; t < BASE - 3500; t++)
		times_add(&fixture->times, t, false);
	for (int64_t t = BASE; t < BASE + 130; t++)
		times_add(&fixture->times, t, false);
	ask_some(&fixture->scratch, &fixture->times, 30, 1);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, 30, 1);
	check(&fixture->scratch);
	assert_int_equal(fixture->told.count, 0);
}

static int take_subject(void *ctx, const struct store_subject *subject)
{
	sprintf(ctx, "%u %s %" PRId64, subject->uid, subject->comm, subject->end_s);
	return 0;
}

static void one_entry(struct recorder *recorder, int64_t t, struct history_entry entry)
{
	struct history_tick *tick = history_tick_new(1);

	tick->time_ns = t * NS;
	tick->entry[0] = entry;
	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, t * NS));
}

static void subjects_have_names_and_ends(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct store *store;
	char text[200];
	int64_t id, again;

	one_entry(recorder, BASE,
		(struct history_entry) {
			.pid = 5, .start_ticks = 9, .uid = 3, .comm = "a\\b\n", .born = true });
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(store_find_subject(store, 5, 9, &id), STORE_OK);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "3 a\\134b\\012 0");
	one_entry(recorder, BASE + 1,
		(struct history_entry) {
			.pid = 5, .start_ticks = 9, .uid = 4, .comm = "exec", .renamed = true });
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "4 exec 0");
	/* The pid again without a word of the first one's end. */
	one_entry(recorder, BASE + 2,
		(struct history_entry) { .pid = 5, .start_ticks = 12, .comm = "next", .born = true });
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "4 exec 1700000002");
	/* Gone before it was seen alive. */
	one_entry(recorder, BASE + 3,
		(struct history_entry) {
			.pid = 6, .start_ticks = 13, .comm = "brief", .born = true, .ended = true });
	assert_int_equal(store_find_subject(store, 6, 13, &again), STORE_OK);
	assert_int_equal(store_get_subject(store, again, take_subject, text), STORE_OK);
	assert_string_equal(text, "0 brief 1700000003");
	recorder_stop(recorder);
	/* The same processes after a restart are the same subjects; one that is not there any more has ended.
	 */
	recorder = start(&fixture->scratch, &fixture->told);
	assert_int_equal(store_find_subject(store, 5, 12, &id), STORE_OK);
	one_entry(recorder, BASE + 9,
		(struct history_entry) { .pid = 7, .start_ticks = 99, .comm = "x", .born = true });
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "0 next 1700000009");
	one_entry(recorder, BASE + 10,
		(struct history_entry) { .pid = 5, .start_ticks = 12, .comm = "next", .born = true });
	assert_int_equal(store_find_subject(store, 5, 12, &again), STORE_OK);
	assert_int_equal(id, again);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "0 next 0");
	recorder_stop(recorder);
	/* Another boot: another process. */
	assert_int_equal(recorder_start(fixture->scratch.path, "another", BASE + 20, on_tell, &fixture->told,
				 &recorder),
		0);
	one_entry(recorder, BASE + 30,
		(struct history_entry) { .pid = 5, .start_ticks = 12, .comm = "other", .born = true });
	assert_int_equal(store_find_subject(store, 5, 12, &again), STORE_OK);
	assert_int_not_equal(id, again);
	recorder_stop(recorder);
	store_close(store);
	check(&fixture->scratch);
}

/* Told as dead and alive in one tick, and other contradictions: the state afterwards counts. */
static void contradictions_do_no_harm(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct history_tick *tick = tick_at(10, 0, BASE);
	int64_t time_ns = tick->time_ns;

	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, time_ns));
	tick = history_tick_new(40);
	time_ns = tick->time_ns = (BASE + 1) * NS;
	tick->system = system_at(BASE + 1);
	for (unsigned p = 0; p < 10; p++) {
		struct being being = being_at(p, BASE + 1);
		struct history_entry entry = {
			.pid = 1000 + p, .start_ticks = being.start_ticks, .values = being.values
		};

		tick->entry[4 * p] = entry;
		tick->entry[4 * p + 1] = entry;
		tick->entry[4 * p + 1].ended = true;
		tick->entry[4 * p + 2] = entry;
		tick->entry[4 * p + 2].born = true;
		tick->entry[4 * p + 3] = entry;
	}
	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, time_ns));
	times_add(&fixture->times, BASE, false);
	times_add(&fixture->times, BASE + 1, false);
	for (int64_t t = BASE + 2; t < BASE + 5; t++) {
		feed(recorder, 10, t - 1, t);
		times_add(&fixture->times, t, false);
	}
	ask_some(&fixture->scratch, &fixture->times, 10, 1);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, 10, 1);
	check(&fixture->scratch);
}

/* One who is behind merges: the last of it is right, the loss is counted, births and ends are all there. */
static void a_recorder_that_is_behind_merges(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct recorder_status status;
	int64_t t, before = 0;

	for (t = BASE; t < BASE + 300; before = t, t++) {
		recorder_put(recorder, tick_at(PROCESSES, before, t));
		times_add(&fixture->times, t, true);
	}
	assert_true(until(is_recorded, recorder, (t - 1) * NS + 5000));
	fixture->times.perhaps[fixture->times.n - 1] = false;
	recorder_status(recorder, &status);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	check(&fixture->scratch);
	/* As many as are not there. */
	struct store *store;
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	for (unsigned p = 100; p < PROCESSES; p++) {
		for (t = BASE; t < BASE + 300; t++) {
			struct being being = being_at(p, t);
			int64_t id;
			if (being.alive)
				assert_int_equal(store_find_subject(store, 1000 + p, being.start_ticks, &id),
					STORE_OK);
		}
	}
	store_close(store);
}

/* --- kill -9 --- */

static void child_records(const struct scratch *scratch, int64_t t, int fd)
{
	static struct told told = { .mutex = PTHREAD_MUTEX_INITIALIZER };
	struct recorder *recorder;
	int64_t before = 0;

	if (recorder_start(scratch->path, BOOT, BASE - 1000, on_tell, &told, &recorder))
		_exit(1);
	for (;; before = t, t += 1 + (int64_t)(mix(9, (uint64_t)t) % 9)) {
		int64_t message = -t;

		/* Said before: it may be there. Said after: it must be. */
		if (write(fd, &message, sizeof(message)) != sizeof(message))
			_exit(1);
		recorder_put(recorder, tick_at(PROCESSES, before, t));
		if (!until(is_recorded, recorder, t * NS + 5000))
			_exit(1);
		if (write(fd, &t, sizeof(t)) != sizeof(t))
			_exit(1);
	}
}

/* A second that is told of, or that is acknowledged: 1. */
static unsigned hear(struct times *times, int64_t message)
{
	if (message < 0) {
		times_add(times, -message, true);
		return 0;
	}
	assert_int_equal(times->t[times->n - 1], message);
	times->perhaps[times->n - 1] = false;
	return 1;
}

static void nothing_acknowledged_is_lost_by_a_kill(void **state)
{
	struct fixture *fixture = *state;
	int64_t t = BASE;
	unsigned seconds = 0;

	for (unsigned round = 0; round < 60; round++) {
		int fds[2], status;
		int64_t message;
		size_t first = fixture->times.n;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			child_records(&fixture->scratch, t, fds[1]);
		}
		close(fds[1]);
		/* Some words, and then any moment within what comes after. */
		for (unsigned words = 0; words < 1 + mix(round, 4) % 40; words++) {
			assert_int_equal(read(fds[0], &message, sizeof(message)), sizeof(message));
			seconds += hear(&fixture->times, message);
		}
		struct timespec moment = { 0, (long)(mix(round, 5) % 3000000) };
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		while (read(fds[0], &message, sizeof(message)) == sizeof(message))
			seconds += hear(&fixture->times, message);
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_true(fixture->times.n > first);
		t = fixture->times.t[fixture->times.n - 1] + 1;
		bool any = false;
		for (size_t i = 0; i < fixture->times.n; i++)
			any |= !fixture->times.perhaps[i];
		if (any)
			ask_some(&fixture->scratch, &fixture->times, PROCESSES, 61);
	}
	assert_true(seconds > 300); /* else little was tried */
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	check(&fixture->scratch);
	assert_int_equal(fixture->told.count, 0);
}

/* --- a reader beside the recorder --- */

struct beside {
	const struct scratch *scratch;
	struct times *times;
	pthread_mutex_t mutex;
	bool stop;
	unsigned rounds;
	const char *wrong;
};

static void *read_beside(void *arg)
{
	struct beside *beside = arg;
	struct times *known = calloc(1, sizeof(*known));
	struct store *store = NULL;

	for (unsigned round = 0;; round++) {
		pthread_mutex_lock(&beside->mutex);
		bool stop = beside->stop;
		memcpy(known, beside->times, sizeof(*known));
		pthread_mutex_unlock(&beside->mutex);
		if (!store && store_open_reader(beside->scratch->path, &store, NULL))
			store = NULL;
		if (store && known->n > 1) {
			unsigned p = round % 100;
			int64_t subject;
			struct asking asking = { .times = known, .p = p, .start_ticks = 1 };
			int r = store_find_subject(store, 1000 + p, 1, &subject);

			if (!r)
				r = history_each(store, subject, known->t[0], known->t[known->n - 1],
					on_sample, &asking);
			if (!r && asking.at != known->n)
				r = wrong(&asking, "lost", known->t[asking.at]);
			pthread_mutex_lock(&beside->mutex);
			beside->rounds++;
			if (r && !beside->wrong)
				beside->wrong = asking.wrong ? asking.wrong : "failed";
			pthread_mutex_unlock(&beside->mutex);
		}
		if (stop)
			break;
	}
	store_close(store);
	free(known);
	return NULL;
}

static void a_reader_sees_no_seam(void **state)
{
	struct fixture *fixture = *state;
	struct beside beside = {
		.scratch = &fixture->scratch, .times = &fixture->times, .mutex = PTHREAD_MUTEX_INITIALIZER
	};
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_beside, &beside), 0);
	for (int64_t t = BASE, before = 0; t < BASE + 900; before = t, t += 3) {
		feed(recorder, PROCESSES, before, t);
		pthread_mutex_lock(&beside.mutex);
		times_add(&fixture->times, t, false);
		pthread_mutex_unlock(&beside.mutex);
	}
	recorder_stop(recorder);
	pthread_mutex_lock(&beside.mutex);
	beside.stop = true;
	pthread_mutex_unlock(&beside.mutex);
	pthread_join(thread, NULL);
	if (beside.wrong)
		fail_msg("%s", beside.wrong);
	assert_true(beside.rounds > 10);
}

/* --- faults --- */

static void overwrite(const struct scratch *scratch, int64_t at, size_t n)
{
	char path[128];
	char *noise = malloc(n);

	memset(noise, 0x5a, n);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, noise, n, at), n);
	close(fd);
	free(noise);
}

static void a_damaged_database_is_set_aside_at_start(void **state)
{
	struct fixture *fixture = *state;

	overwrite(&fixture->scratch, 0, 10000);
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	feed(recorder, 20, 0, BASE);
	times_add(&fixture->times, BASE, false);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, 20, 1);
	assert_true(was_told(&fixture->told, "kept as history.db.damaged-", 1));
	check(&fixture->scratch);
}

static void a_deleted_database_begins_anew(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct settings settings;
	struct err err = { 0 };
	char path[128];

	settings_init(&settings);
	settings.value[SETTING_HISTORY_DAYS] = 12;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
	feed(recorder, 20, 0, BASE);
	scratch_join(&fixture->scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	for (int64_t t = BASE + 1; t < BASE + 70; t++) {
		feed(recorder, 20, t - 1, t);
		times_add(&fixture->times, t, false);
	}
	ask_some(&fixture->scratch, &fixture->times, 20, 1);
	recorder_stop(recorder);
	/* The settings went over. */
	recorder = start(&fixture->scratch, &fixture->told);
	settings_init(&settings);
	assert_int_equal(recorder_load_settings(recorder, &settings), 0);
	assert_int_equal(settings.value[SETTING_HISTORY_DAYS], 12);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, 20, 1);
	check(&fixture->scratch);
}

/* Bytes change under a recorder that runs. */
static void damage_while_it_runs_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct stat st;
	char path[128];
	int64_t t = BASE;

	recorder_set_retry(recorder, 0);
	for (int i = 0; i < 30; i++, t += 7)
		feed(recorder, PROCESSES, i ? t - 7 : 0, t);
	recorder_stop(recorder);
	recorder = start(&fixture->scratch, &fixture->told);
	recorder_set_retry(recorder, 0);
	scratch_join(&fixture->scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	overwrite(&fixture->scratch, 2 * 4096, (size_t)st.st_size - 2 * 4096);
	/* Whenever it is found, the ticks go on; those of the minute in which it happens need not. */
	for (int i = 0; i < 60; i++, t += 7)
		feed(recorder, PROCESSES, i ? t - 7 : 0, t);
	for (int i = 0; i < 20; i++, t += 7) {
		feed(recorder, PROCESSES, t - 7, t);
		times_add(&fixture->times, t, false);
	}
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	assert_true(was_told(&fixture->told, "kept as history.db.damaged-", 1));
	check(&fixture->scratch);
}

static void a_full_disk_is_told_once_and_got_over(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit before, small = { 400 << 10, RLIM_INFINITY };
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t t = BASE, last = 0;
	struct recorder_status status;

	recorder_set_retry(recorder, 0);
	/* SIGXFSZ is not ignored: the recorder's thread has to see to that. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 400 && state_of(recorder) == BOARD_HISTORY_OK; i++, last = t, t++) {
		struct history_tick *tick = tick_at(PROCESSES, last, t);
		struct recorder_status then;
		recorder_status(recorder, &then);
		int64_t time_ns = tick->time_ns;
		recorder_put(recorder, tick);
		int64_t limit = clock_monotonic_ns() + 20 * NS;
		while (!is_recorded(recorder, time_ns) && !has_dropped(recorder, (int64_t)then.dropped + 1))
			assert_true(clock_monotonic_ns() < limit);
		times_add(&fixture->times, t, !is_recorded(recorder, time_ns));
	}
	assert_int_equal(state_of(recorder), BOARD_HISTORY_FULL);
	recorder_status(recorder, &status);
	for (int i = 0; i < 5; i++, last = t, t++) {
		recorder_put(recorder, tick_at(PROCESSES, last, t));
		times_add(&fixture->times, t, true);
		assert_true(until(has_dropped, recorder, (int64_t)status.dropped + i + 1));
	}
	struct settings settings;
	struct err err = { 0 };
	settings_init(&settings);
	int r = recorder_save_settings(recorder, &settings, &err);
	assert_true(r == 0 || r == -ENOSPC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	for (int i = 0; i < 100; i++, last = t, t++) {
		feed(recorder, PROCESSES, last, t);
		times_add(&fixture->times, t, false);
	}
	assert_int_equal(state_of(recorder), BOARD_HISTORY_OK);
	recorder_stop(recorder);
	assert_true(was_told(&fixture->told, "history is not kept: no space is left for it", 1));
	assert_true(was_told(&fixture->told, "history is kept again", 1));
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	check(&fixture->scratch);
}

static void a_read_only_directory_is_got_over(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder;
	struct settings settings;
	struct err err = { 0 };
	int64_t t = BASE;

	if (geteuid() != 0) {
		print_message("a mount needs root\n");
		skip();
	}
	/* In a mount namespace of our own: nobody else sees it, and it ends with this process at the latest.
	 */
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("none", fixture->scratch.path, "tmpfs", 0, "size=8m,mode=0750"), 0);
	fixture->mounted = true;
	recorder = start(&fixture->scratch, &fixture->told);
	feed(recorder, 20, 0, t);
	recorder_stop(recorder);
	assert_int_equal(mount(NULL, fixture->scratch.path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	recorder = start(&fixture->scratch, &fixture->told);
	recorder_set_retry(recorder, 0);
	assert_int_equal(state_of(recorder), BOARD_HISTORY_READ_ONLY);
	for (int i = 0; i < 3; i++, t++) {
		recorder_put(recorder, tick_at(20, i ? t : 0, t + 1));
		assert_true(until(has_dropped, recorder, i + 1));
	}
	settings_init(&settings);
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), -EROFS);
	assert_true(*err.reason);
	assert_int_equal(recorder_load_settings(recorder, &settings), -ENODATA);
	assert_int_equal(mount(NULL, fixture->scratch.path, NULL, MS_REMOUNT, "size=8m"), 0);
	feed(recorder, 20, t, t + 1);
	assert_int_equal(state_of(recorder), BOARD_HISTORY_OK);
	recorder_stop(recorder);
	assert_true(was_told(&fixture->told, "history is not kept: it cannot be written", 1));
	assert_true(was_told(&fixture->told, "history is kept again; 3 ticks are missing", 1));
}

static void no_directory_is_got_over(void **state)
{
	struct fixture *fixture = *state;
	struct scratch inner;
	struct recorder *recorder;

	assert_true(snprintf(inner.path, sizeof(inner.path), "%s/sub", fixture->scratch.path) > 0);
	recorder = start(&inner, &fixture->told);
	recorder_set_retry(recorder, 0);
	assert_int_equal(state_of(recorder), BOARD_HISTORY_ABSENT);
	recorder_put(recorder, tick_at(20, 0, BASE));
	assert_true(until(has_dropped, recorder, 1));
	assert_int_equal(mkdir(inner.path, 0750), 0);
	/* Those who were born meanwhile are there. */
	feed(recorder, 20, BASE, BASE + 1);
	times_add(&fixture->times, BASE + 1, false);
	recorder_stop(recorder);
	ask_some(&inner, &fixture->times, 20, 1);
	check(&inner);
}

/* --- retention --- */

static void old_minutes_go(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct settings settings;
	struct err err = { 0 };
	struct store *store;
	int64_t t = BASE, oldest;

	for (int i = 0; i < 20; i++, t += 3600)
		feed(recorder, 20, i ? t - 3600 : 0, t);
	for (int i = 0; i < 20; i++, t += 3600)
		feed(recorder, 20, t - 3600, t);
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(store_oldest_minute(store, &oldest), STORE_OK);
	assert_int_equal(oldest, BASE / 60);
	settings_init(&settings);
	settings.value[SETTING_HISTORY_DAYS] = 1;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
	recorder_stop(recorder); /* all steps are done before it ends */
	assert_int_equal(store_oldest_minute(store, &oldest), STORE_OK);
	assert_int_equal(oldest, (t - 3600) / 60 - 1440);
	store_close(store);
	check(&fixture->scratch);
}

static void the_size_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct recorder_status status;
	struct settings settings;
	struct err err = { 0 };
	int64_t t = BASE;
	const uint64_t max = 2 << 20;

	for (int i = 0; i < 80; i++, t += 61)
		feed(recorder, PROCESSES, i ? t - 61 : 0, t);
	recorder_status(recorder, &status);
	assert_true(status.bytes > max + max / 2);
	settings_init(&settings);
	settings.value[SETTING_HISTORY_MAX_BYTES] = max;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
	feed(recorder, PROCESSES, t - 61, t);
	recorder_stop(recorder);

	struct store *store;
	assert_int_equal(store_open_writer(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_true(store_bytes(store) <= (int64_t)max);
	assert_true(store_bytes(store) > (int64_t)max / 4);
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
	times_add(&fixture->times, t, false);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
}

static void settings_are_loaded_and_saved(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct settings settings, back;
	struct err err = { 0 };
	struct store *store;

	settings_init(&settings);
	settings.value[SETTING_HISTORY_DAYS] = 3;
	settings.value[SETTING_FRESHNESS_MS] = 50;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
	recorder_stop(recorder);
	/* Nonsense of a hand, and a name of a version to come, are passed over. */
	assert_int_equal(store_open_writer(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(store_put_setting(store, "freshness_ms", "0"), STORE_OK);
	assert_int_equal(store_put_setting(store, "of_the_future", "1"), STORE_OK);
	store_close(store);
	recorder = start(&fixture->scratch, &fixture->told);
	settings_init(&back);
	assert_int_equal(recorder_load_settings(recorder, &back), 0);
	assert_int_equal(back.value[SETTING_HISTORY_DAYS], 3);
	assert_int_equal(back.value[SETTING_FRESHNESS_MS], 100);
	recorder_stop(recorder);
	recorder_stop(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_recorded_comes_back),
		TEST(a_restart_within_a_minute_goes_on),
		TEST(many_ticks_a_second_are_one_sample),
		TEST(the_clock_may_go_back),
		TEST(subjects_have_names_and_ends),
		TEST(contradictions_do_no_harm),
		TEST(a_recorder_that_is_behind_merges),
		TEST(nothing_acknowledged_is_lost_by_a_kill),
		TEST(a_reader_sees_no_seam),
		TEST(a_damaged_database_is_set_aside_at_start),
		TEST(a_deleted_database_begins_anew),
		TEST(damage_while_it_runs_is_found),
		TEST(a_full_disk_is_told_once_and_got_over),
		TEST(a_read_only_directory_is_got_over),
		TEST(no_directory_is_got_over),
		TEST(old_minutes_go),
		TEST(the_size_is_kept),
		TEST(settings_are_loaded_and_saved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
