/* SPDX-License-Identifier: MIT */
/* Minutes and hours: what they say is what the seconds say, whatever happened; and everything at an instant.
 */
#include "collector/history/history_writer.h"
#include "tests/unit/recorder_world.h"

enum { HOUR = 1700002800 /* one begins */, FEW = 130 };

/* Ticks of [from, to), `step` apart; told anew where `before` is 0. */
static void record(struct recorder *recorder, int64_t before, int64_t from, int64_t to, int64_t step)
{
	for (int64_t t = from; t < to; before = t, t += step)
		feed(recorder, FEW, before, t);
}

static void hours_are_made_of_minutes(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);

	record(recorder, 0, HOUR - 1000, HOUR + 2 * 3600 + 500, 20);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 3);
	recorder_stop(recorder);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 3);
	check(&fixture->scratch);
}

static void restarts_make_neither_doubles_nor_holes(void **state)
{
	struct fixture *fixture = *state;

	/* Over borders of minutes and of an hour, with pauses. */
	for (int64_t t = HOUR - 700; t < HOUR + 700; t += 97) {
		struct recorder *recorder = start(&fixture->scratch, &fixture->told);
		record(recorder, 0, t, t + 97 - (t % 3 ? 0 : 40), 7);
		recorder_stop(recorder);
	}
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	record(recorder, 0, HOUR + 3600, HOUR + 3700, 10);
	recorder_stop(recorder);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
	check(&fixture->scratch);
}

static void clocks_jump_over_minutes_and_hours(void **state)
{
	static const int64_t leaps[][2] = { { -200, 200 }, { 3600, 3800 }, { 100, 400 }, { -130, -50 },
		{ 7200, 7300 }, { 3650, 3750 }, { 86400, 86500 }, { 350, 500 }, { 90000, 90010 } };
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t before = 0;

	for (size_t i = 0; i < sizeof(leaps) / sizeof(*leaps); i++) {
		record(recorder, before, HOUR + leaps[i][0], HOUR + leaps[i][1], 10);
		before = HOUR + leaps[i][1] - 10;
		if (i % 3 == 1)
			ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
	}
	recorder_stop(recorder);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
	check(&fixture->scratch);
}

/* --- idle processes --- */

/* A tick that says nothing but that the node lives; the first one gives birth to n processes. */
static void quiet_tick(struct recorder *recorder, int64_t t, unsigned n)
{
	struct history_tick *tick = history_tick_new(n);

	tick->time_ns = t * NS;
	tick->system = system_at(t);
	for (unsigned p = 0; p < n; p++) {
		struct history_entry *entry = &tick->entry[p];
		*entry =
			(struct history_entry) { .pid = 1 + p, .start_ticks = 1, .start_s = t, .born = true };
		for (unsigned m = 0; m < N_PROCESS_METRICS; m++)
			process_values_set(&entry->values, m, (p + 1) * 4096 * (m + 1));
	}
	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, t * NS));
}

static int count_row(void *ctx, int64_t subject, int64_t unit)
{
	++*(unsigned *)ctx;
	return 0;
}

static void the_idle_cost_a_row_an_hour_and_gaps_stay_gaps(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	unsigned rows = 0;
	struct store *store;
	struct series series = { .point = calloc(POINTS_MAX, sizeof(*series.point)) };
	int64_t subject;

	for (int64_t t = HOUR; t < HOUR + 7200; t += 15)
		quiet_tick(recorder, t, t == HOUR ? 10 : 0);
	/* Nobody looked for half an hour. */
	for (int64_t t = HOUR + 9000; t <= HOUR + 9060; t += 15)
		quiet_tick(recorder, t, 0);
	recorder_stop(recorder);
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(
		store_each_level_subject(store, LEVEL_MINUTES, 0, INT64_MAX, count_row, &rows), STORE_OK);
	assert_int_equal(rows, 10 * 3); /* the first of each hour, and after the gap */
	assert_int_equal(store_find_subject(store, 4, 1, &subject), STORE_OK);
	series_read(&series, store, subject, LEVEL_MINUTES);
	assert_int_equal(series.n, 122);
	for (size_t i = 0; i < series.n; i++) {
		assert_int_equal(series.point[i].time_s, HOUR + (int64_t)i * 60 + (i < 120 ? 0 : 1800));
		assert_int_equal(series.point[i].row.value[0], 4 * 4096);
		assert_int_equal(series.point[i].row.samples, i == 121 ? 1 : 4);
	}
	store_close(store);
	free(series.point);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 1);
	check(&fixture->scratch);
}

/* --- everything at an instant --- */

static void moment_is(const struct history_moment *moment, int64_t t)
{
	size_t n = 0;

	assert_int_equal(moment->level, LEVEL_SECONDS);
	assert_int_equal(moment->time_s, t);
	assert_int_equal(moment->value[0], system_at(t).value[0]);
	for (unsigned p = 0; p < FEW; p++) {
		struct being being = being_at(p, t);

		if (!being.alive)
			continue;
		const struct history_process *process = &moment->process[n++];
		assert_int_equal(process->pid, 1000 + p);
		assert_int_equal(process->uid, p);
		assert_int_equal(process->start_ticks, being.start_ticks);
		assert_int_equal(process->start_s, BASE);
		for (unsigned c = 0; c < N_PROCESS_COLUMNS; c++) {
			unsigned m = (unsigned)history_column_metric(&process_metrics, c);
			assert_int_equal(
				metric_has(process->present, c), metric_has(being.values.present, m));
			if (metric_has(process->present, c))
				assert_true(process->value[c] == being.values.value[m]);
		}
	}
	assert_int_equal(moment->n, n);
}

static void it_is_as_it_was(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct history_moment moment;
	struct store *store;

	record(recorder, 0, HOUR, HOUR + 95, 1);
	record(recorder, HOUR + 94, HOUR + 300, HOUR + 310, 1);
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	for (int round = 0; round < 2; round++) {
		/* From the journal, then packed. */
		static const int64_t asked[] = { 0, 1, 59, 60, 61, 94, 300, 305, 309 };
		for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
			assert_int_equal(history_at(store, HOUR + asked[i], &moment), STORE_OK);
			moment_is(&moment, HOUR + asked[i]);
			history_moment_deinit(&moment);
		}
		/* What is up to a minute old is taken; a gap is a gap. */
		assert_int_equal(history_at(store, HOUR + 153, &moment), STORE_OK);
		moment_is(&moment, HOUR + 94);
		history_moment_deinit(&moment);
		assert_int_equal(history_at(store, HOUR + 154, &moment), STORE_ABSENT);
		assert_int_equal(history_at(store, HOUR - 1, &moment), STORE_ABSENT);
		assert_int_equal(history_at(store, HOUR + 400, &moment), STORE_ABSENT);
		assert_int_equal(history_at(store, HISTORY_LAST, &moment), STORE_OK);
		moment_is(&moment, HOUR + 309);
		history_moment_deinit(&moment);
		if (!round)
			recorder_stop(recorder);
	}
	store_close(store);
}

static void coarser_where_seconds_are_gone(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct history_moment moment, same;
	struct store *store;
	int deleted;

	record(recorder, 0, HOUR, HOUR + 4000, 10);
	recorder_stop(recorder);
	assert_int_equal(store_open_writer(fixture->scratch.path, &store, NULL), STORE_OK);
	for (int64_t end = (HOUR + 3900) / 60;;) {
		assert_int_equal(store_expire(store, LEVEL_SECONDS, end, 1000, &deleted), STORE_OK);
		if (!deleted)
			break;
	}
	assert_int_equal(history_at(store, HOUR + 615, &moment), STORE_OK);
	assert_int_equal(moment.level, LEVEL_MINUTES);
	assert_int_equal(moment.time_s, HOUR + 600);
	assert_int_equal(history_at_unit(store, LEVEL_MINUTES, (HOUR + 600) / 60, &same), STORE_OK);
	assert_int_equal(moment.n, same.n);
	assert_true(moment.n > 100);
	/* The first hundred live for ever. */
	for (unsigned p = 0; p < 100; p++)
		assert_int_equal(moment.process[p].pid, 1000 + p);
	history_moment_deinit(&moment);
	history_moment_deinit(&same);
	do {
		assert_int_equal(
			store_expire(store, LEVEL_MINUTES, (HOUR + 3600) / 60, 1000, &deleted), STORE_OK);
	} while (deleted);
	assert_int_equal(history_at(store, HOUR + 615, &moment), STORE_OK);
	assert_int_equal(moment.level, LEVEL_HOURS);
	assert_int_equal(moment.time_s, HOUR);
	assert_true(moment.n > 100);
	history_moment_deinit(&moment);
	assert_int_equal(history_at(store, HOUR - 4000, &moment), STORE_ABSENT);
	store_close(store);
}

static void another_boot_has_its_processes(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct history_moment moment;
	struct store *store;

	record(recorder, 0, HOUR, HOUR + 70, 5);
	recorder_stop(recorder);
	recorder = NULL;
	assert_int_equal(recorder_start(fixture->scratch.path, "another-boot", HOUR + 100, on_tell,
				 &fixture->told, &recorder),
		0);
	quiet_tick(recorder, HOUR + 200, 3);
	recorder_stop(recorder);
	assert_int_equal(store_open_reader(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(history_at(store, HOUR + 65, &moment), STORE_OK);
	moment_is(&moment, HOUR + 65);
	int64_t boot = moment.process[0].boot;
	history_moment_deinit(&moment);
	assert_int_equal(history_at(store, HISTORY_LAST, &moment), STORE_OK);
	assert_int_equal(moment.n, 3);
	assert_int_not_equal(moment.process[0].boot, boot);
	history_moment_deinit(&moment);
	store_close(store);
}

static void nothing_has_no_last(void **state)
{
	struct fixture *fixture = *state;
	struct history_moment moment;
	struct store *store;
	int64_t time_s;

	assert_int_equal(store_open_writer(fixture->scratch.path, &store, NULL), STORE_OK);
	assert_int_equal(history_at(store, HISTORY_LAST, &moment), STORE_ABSENT);
	assert_int_equal(history_at(store, HOUR, &moment), STORE_ABSENT);
	assert_int_equal(history_newest(store, &time_s), STORE_ABSENT);
	store_close(store);
}

/* --- durations --- */

static void durations_have_their_level(void **state)
{
	assert_int_equal(level_of_duration(1), LEVEL_SECONDS);
	assert_int_equal(level_of_duration(600), LEVEL_SECONDS);
	assert_int_equal(level_of_duration(3600), LEVEL_SECONDS);
	assert_int_equal(level_of_duration(86400), LEVEL_MINUTES);
	assert_int_equal(level_of_duration(36 * 3600), LEVEL_MINUTES);
	assert_int_equal(level_of_duration(7 * 86400), LEVEL_HOURS);
	assert_int_equal(level_of_duration(30 * 86400), LEVEL_HOURS);
	assert_int_equal(level_of_duration(UINT32_MAX), LEVEL_HOURS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hours_are_made_of_minutes),
		TEST(restarts_make_neither_doubles_nor_holes),
		TEST(clocks_jump_over_minutes_and_hours),
		TEST(the_idle_cost_a_row_an_hour_and_gaps_stay_gaps),
		TEST(it_is_as_it_was),
		TEST(coarser_where_seconds_are_gone),
		TEST(another_boot_has_its_processes),
		TEST(nothing_has_no_last),
		TEST(durations_have_their_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
