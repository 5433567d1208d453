/* SPDX-License-Identifier: MIT */
/* What remains of ended processes, through the recorder: with the tick, over trouble and restarts, bounded.
 */
#include "collector/history/history.h"
#include "tests/unit/recorder_world.h"

static struct remains remains_of(uint32_t pid, int64_t end_s, struct end_reason reason)
{
	struct remains remains = { .last = { .pid = pid,
					   .ppid = 1,
					   .uid = 5,
					   .gid = 6,
					   .threads = 2,
					   .state = 'S',
					   .start_ticks = pid,
					   .start_ns = (end_s - 100) * NS },
		.end_ns = end_s * NS,
		.reason = reason,
		.sampled = true,
		.has_comm = true,
		.has_owner = true };

	strcpy(remains.last.comm, "gone\t1");
	process_values_set(&remains.last.values, PROCESS_RSS, 12345);
	process_values_set(&remains.last.values, PROCESS_VMS, UINT64_MAX); /* no number of this world */
	for (unsigned i = 0; i < N_PROCESS_RATES * N_WINDOWS; i++)
		(&remains.last.rate[0][0])[i] = BOARD_RATE_UNKNOWN;
	remains.last.rate[0][WINDOW_10S] = -77;
	return remains;
}

static void hand_over(struct recorder *recorder, struct remains remains)
{
	struct remains_batch batch = { 0 };

	remains_add(&batch, &remains);
	recorder_put_remains(recorder, &batch);
	assert_int_equal(batch.n, 0);
	remains_deinit(&batch);
}

static int print_ended(void *ctx, const struct store_ended *ended)
{
	sprintf((char *)ctx + strlen(ctx), "%s %s %s %s %u;", ended->reason, ended->comm ? ended->comm : "-",
		ended->args ? ended->args : "-", ended->state ? ended->state : "-", ended->uid);
	return 0;
}

static int print_number(void *ctx, const char *name, int64_t number)
{
	sprintf((char *)ctx + strlen(ctx), "%s=%" PRId64 ";", name, number);
	return 0;
}

static int count_name(void *ctx, const struct store_ended_name *name)
{
	++*(int *)ctx;
	return 0;
}

static int count(const struct scratch *scratch)
{
	struct store *store;
	int n = 0;

	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	assert_int_equal(store_each_ended_name(store, 0, INT32_MAX, count_name, &n), STORE_OK);
	store_close(store);
	return n;
}

/* Reason, comm, args, state and uid of a process, then its numbers; empty where nothing remains. */
static void say(const struct scratch *scratch, uint32_t pid, int64_t end_s, char text[static 400])
{
	struct store_ended_name name = { .pid = pid, .start_s = end_s - 100, .nth = 1 };
	struct store *store;
	int64_t id;

	*text = 0;
	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	if (store_find_ended(store, &name, &id) == STORE_OK) {
		assert_int_equal(store_get_ended(store, id, print_ended, text), STORE_OK);
		assert_int_equal(
			store_each_ended_number(store, id, STORE_ENDED_VALUES, print_number, text), STORE_OK);
		assert_int_equal(
			store_each_ended_number(store, id, STORE_ENDED_RATES, print_number, text), STORE_OK);
	}
	store_close(store);
}

static const struct end_reason killed = { END_SIGNAL, 9, false };

static void it_is_stored_with_the_tick(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;
	struct remains remains = remains_of(77, now_s, killed);
	char text[400];

	remains.args = strdup("gone --really");
	feed(recorder, 10, 0, now_s);
	hand_over(recorder, remains);
	feed(recorder, 10, now_s, now_s + 1);
	say(&fixture->scratch, 77, now_s, text);
	assert_string_equal(text,
		"signal 9 SIGKILL gone\\0111 gone --really S 5;rss=12345;vms=9223372036854775807;"
		"rss_10s=-77;");
	/* What the last tick had no time for. */
	hand_over(recorder, remains_of(78, now_s, killed));
	recorder_stop(recorder);
	say(&fixture->scratch, 78, now_s, text);
	assert_true(*text);
	check(&fixture->scratch);
	assert_int_equal(fixture->told.count, 0);
}

/* Of one that only the kernel spoke of, what it said. */
static void the_unseen_have_no_numbers(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;
	struct remains remains = remains_of(77, now_s, (struct end_reason) { END_EXIT, 0, false });
	char text[400];

	remains.sampled = remains.has_comm = remains.has_owner = false;
	hand_over(recorder, remains);
	feed(recorder, 10, 0, now_s);
	say(&fixture->scratch, 77, now_s, text);
	assert_string_equal(text, "exit 0 - - - 0;");
	recorder_stop(recorder);
}

static void it_waits_for_a_database(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;
	char text[400], path[300];

	/* The file goes from under it: the tick's transaction fails first, and is written anew. */
	feed(recorder, 10, 0, now_s);
	scratch_join(&fixture->scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	hand_over(recorder, remains_of(77, now_s, killed));
	feed(recorder, 10, now_s, now_s + 1);
	say(&fixture->scratch, 77, now_s, text);
	assert_true(*text);
	recorder_stop(recorder);
	check(&fixture->scratch);
}

static void settings_of(struct recorder *recorder, enum setting setting, uint64_t value)
{
	struct settings settings;
	struct err err = { 0 };

	assert_int_equal(recorder_load_settings(recorder, &settings), 0);
	settings.value[setting] = value;
	assert_int_equal(recorder_save_settings(recorder, &settings, &err), 0);
}

static void it_is_kept_as_long_as_wished(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;
	char text[400];

	settings_of(recorder, SETTING_ENDED_KEEP, 1000);
	hand_over(recorder, remains_of(77, now_s - 2000, killed));
	hand_over(recorder, remains_of(78, now_s - 500, killed));
	feed(recorder, 10, 0, now_s);
	recorder_stop(recorder);
	say(&fixture->scratch, 77, now_s - 2000, text);
	assert_string_equal(text, "");
	say(&fixture->scratch, 78, now_s - 500, text);
	assert_true(*text);
	/* None: what is there goes, and nothing comes. */
	recorder = start(&fixture->scratch, &fixture->told);
	settings_of(recorder, SETTING_ENDED_KEEP, 0);
	hand_over(recorder, remains_of(79, now_s, killed));
	feed(recorder, 10, 0, now_s + 2);
	recorder_stop(recorder);
	assert_int_equal(count(&fixture->scratch), 0);
}

/* The smallest history: a fourth of it, at a KiB each. */
static void a_flood_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;
	uint32_t pid = 1;
	char text[400];

	settings_of(recorder, SETTING_HISTORY_MAX_BYTES, 1 << 20);
	for (int64_t t = now_s; t < now_s + 3; t++) {
		for (int i = 0; i < 3000; i++, pid++) {
			struct remains remains = remains_of(pid, now_s, killed);
			remains.end_ns += pid; /* the later the younger */
			hand_over(recorder, remains);
		}
		for (int i = 0; i < 3000; i++, pid++) {
			struct remains remains = remains_of(pid, now_s, (struct end_reason) { 0 });
			remains.last.start_ns = remains.end_ns;
			hand_over(recorder, remains);
		}
		feed(recorder, 10, t == now_s ? 0 : t - 1, t);
	}
	recorder_stop(recorder);
	int n = count(&fixture->scratch);
	assert_in_range(n, 256, 256 + 64);
	say(&fixture->scratch, pid - 3001, now_s, text); /* the youngest of those that did not end well */
	assert_true(*text);
	assert_true(was_told(&fixture->told, "of", 0)); /* it is no news of the node, but of dropped */
	assert_int_equal(fixture->told.count, 1);       /* and told once a minute */
	check(&fixture->scratch);
}

/* A collector that comes later finds some to be gone. */
static void the_lost_have_what_their_row_says(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	int64_t now_s = clock_realtime_ns() / NS;

	feed(recorder, 20, 0, now_s);
	recorder_stop(recorder);
	assert_int_equal(count(&fixture->scratch), 0);
	recorder = start(&fixture->scratch, &fixture->told);
	feed(recorder, 5, 0, now_s + 1);
	recorder_stop(recorder);
	assert_int_equal(count(&fixture->scratch), 15);
	/* Found once. */
	recorder = start(&fixture->scratch, &fixture->told);
	feed(recorder, 5, 0, now_s + 2);
	recorder_stop(recorder);
	assert_int_equal(count(&fixture->scratch), 15);
	check(&fixture->scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_stored_with_the_tick),
		TEST(the_unseen_have_no_numbers),
		TEST(it_waits_for_a_database),
		TEST(it_is_kept_as_long_as_wished),
		TEST(a_flood_is_bounded),
		TEST(the_lost_have_what_their_row_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
