/* SPDX-License-Identifier: MIT */
/* What was told comes back: at any interval, over restarts and jumps of the clock, within its age and size.
 */
#include "collector/history/history.h"
#include "tests/unit/recorder_world.h"

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
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 11);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 11);
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
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
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
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, 30, 1);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
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
	/* Whoever was born is there, however many samples were merged away. */
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
	assert_int_equal(store_oldest_unit(store, LEVEL_SECONDS, &oldest), STORE_OK);
	assert_int_equal(oldest, BASE / 60);
	settings_init(&settings);
	settings.value[SETTING_HISTORY_DAYS] = 1;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
	recorder_stop(recorder); /* all steps are done before it ends */
	assert_int_equal(store_oldest_unit(store, LEVEL_SECONDS, &oldest), STORE_OK);
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
	assert_true(store_bytes(store) > (int64_t)max / 8);
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
		TEST(old_minutes_go),
		TEST(the_size_is_kept),
		TEST(settings_are_loaded_and_saved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
