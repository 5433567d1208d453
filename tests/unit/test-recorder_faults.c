/* SPDX-License-Identifier: MIT */
/* Damage, no room, no right, no file: the recorder goes on, says so once, and gets over it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "collector/history/history.h"
#include "tests/unit/recorder_world.h"

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
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 7);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_damaged_database_is_set_aside_at_start),
		TEST(a_deleted_database_begins_anew),
		TEST(damage_while_it_runs_is_found),
		TEST(a_full_disk_is_told_once_and_got_over),
		TEST(a_read_only_directory_is_got_over),
		TEST(no_directory_is_got_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
