/* SPDX-License-Identifier: MIT */
/* Rows, transactions, settings, and what age and size take away. */
#include "schema/store/store.h"
#include "tests/unit/store_world.h"

#include <inttypes.h>

static void rows_come_back(void **state)
{
	struct store *store = writer(*state);
	char text[400] = "";
	int64_t boot, other, id, found, seq, time_ns;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_boot(store, "aaaa", 500, &boot), STORE_OK);
	id = put_process(store, boot, 10, 99, "sh");
	assert_int_equal(put_process(store, boot, 10, 99, "bash"), id); /* the same process */
	assert_int_not_equal(put_process(store, boot, 10, 100, "sh"), id);
	assert_int_equal(store_put_minute(store, id, 5, "five", 4), STORE_OK);
	assert_int_equal(store_put_minute(store, id, 3, "three", 5), STORE_OK);
	assert_int_equal(store_put_minute(store, id, 5, "FIVE", 4), STORE_OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(store_put_journal(store, (i * 40 + 100) * INT64_C(1000000000), "t", 1, &seq),
			STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);

	assert_int_equal(store_each_minute(store, id, 0, 4, take_minute, text), STORE_OK);
	assert_string_equal(text, "3=three ");
	assert_int_equal(store_each_minute(store, id, 4, 9, take_minute, text), STORE_OK);
	assert_string_equal(text, "3=three 5=FIVE ");
	assert_int_equal(store_each_minute(store, id, 0, 9, stop_at_once, NULL), 42);
	*text = 0;
	assert_int_equal(store_each_journal(store, 2, 2, INT64_MAX, take_tick, text), STORE_OK);
	assert_string_equal(text, "2:140=t ");
	*text = 0;
	assert_int_equal(store_each_journal(store, 1, 3, 3, take_tick, text), STORE_OK);
	assert_string_equal(text, "1:100=t 2:140=t 3:180=t ");
	assert_int_equal(store_delete_journal(store, 3, 3), STORE_OK);
	*text = 0;
	assert_int_equal(
		store_each_journal(store, INT64_MIN, INT64_MAX, INT64_MAX, take_tick, text), STORE_OK);
	assert_string_equal(text, "1:100=t 2:140=t 4:220=t ");
	assert_int_equal(store_oldest_journal(store, &seq, &time_ns), STORE_OK);
	assert_int_equal(seq, 1);
	assert_int_equal(store_newest_journal(store, &seq, &time_ns), STORE_OK);
	assert_int_equal(seq, 4);

	assert_int_equal(store_find_subject(store, 10, 99, &found), STORE_OK);
	assert_int_equal(found, id);
	assert_int_equal(store_find_subject(store, 10, 98, &found), STORE_ABSENT);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "10/7/0/bash");
	assert_int_equal(store_get_subject(store, 12345, take_subject, text), STORE_ABSENT);
	/* A new boot: the old one's processes are found no more, and have ended. */
	assert_int_equal(store_put_boot(store, "bbbb", 2000, &other), STORE_OK);
	assert_int_equal(store_find_subject(store, 10, 99, &found), STORE_ABSENT);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "10/7/2000/bash");
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static void what_was_rolled_back_is_not_there(void **state)
{
	struct store *store = writer(*state);
	int64_t seq, time_ns;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_journal(store, 1, "t", 1, &seq), STORE_OK);
	store_rollback(store);
	assert_int_equal(store_newest_journal(store, &seq, &time_ns), STORE_ABSENT);
	store_rollback(store); /* without one: nothing happens */
	store_close(store);
}

static void the_check_finds_what_it_names(void **state)
{
	struct store *store = writer(*state);
	struct err err = { 0 };

	assert_int_equal(store_check(store, &err), STORE_OK);
	assert_int_equal(store_put_minute(store, 77, 1, "x", 1), STORE_OK);
	assert_int_equal(store_check(store, &err), STORE_DAMAGED);
	assert_non_null(strstr(err.reason, "minute_of_nobody: 77"));
	store_close(store);
}

static void one_writer_at_a_time(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = writer(scratch), *second = NULL;
	struct err err = { 0 };

	assert_int_equal(store_open_writer(scratch->path, &second, &err), STORE_BUSY);
	assert_null(second);
	assert_non_null(strstr(err.reason, "another writer"));
	store_close(store);
	store_close(writer(scratch));
}

/* --- age and size --- */

static int take_of_minute(void *ctx, int64_t subject, const void *blob, size_t len)
{
	sprintf((char *)ctx + strlen(ctx), "%" PRId64 "=%.*s ", subject, (int)len, (const char *)blob);
	return 0;
}

/* Everybody's rows of a minute, by subject, however they were put; and the last tick of a second. */
static void an_instant_is_one_walk(void **state)
{
	struct store *store = writer(*state);
	char text[400] = "";
	int64_t seq;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_minute(store, 9, 5, "i", 1), STORE_OK);
	assert_int_equal(store_put_minute(store, 2, 6, "later", 5), STORE_OK);
	assert_int_equal(store_put_minute(store, 0, 5, "node", 4), STORE_OK);
	assert_int_equal(store_put_minute(store, 2, 5, "b", 1), STORE_OK);
	assert_int_equal(store_put_minute(store, 2, 4, "earlier", 7), STORE_OK);
	/* At 100.4, 100.7, 101.0 and 101.3. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(store_put_journal(
					 store, INT64_C(100400000000) + i * INT64_C(300000000), "t", 1, &seq),
			STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
	assert_int_equal(store_each_of_minute(store, 5, take_of_minute, text), STORE_OK);
	assert_int_equal(store_each_of_minute(store, 7, take_of_minute, text), STORE_OK);
	assert_string_equal(text, "0=node 2=b 9=i ");
	assert_int_equal(store_last_journal(store, 100, &seq), STORE_OK);
	assert_int_equal(seq, 2);
	assert_int_equal(store_last_journal(store, 101, &seq), STORE_OK);
	assert_int_equal(seq, 4);
	assert_int_equal(store_last_journal(store, 102, &seq), STORE_ABSENT);
	assert_int_equal(store_last_journal(store, INT64_MAX, &seq), STORE_ABSENT);
	assert_int_equal(store_last_journal(store, INT64_MIN, &seq), STORE_ABSENT);
	store_close(store);
}

static int take_id(void *ctx, const struct store_subject *subject)
{
	sprintf((char *)ctx + strlen(ctx), "%" PRId64 ":%u ", subject->id, subject->pid);
	return 0;
}

static int stop_at_subject(void *ctx, const struct store_subject *subject)
{
	return 42;
}

/* Side by side, far apart, not there, and beyond the last. */
static void wanted_subjects_are_found_among_others(void **state)
{
	static const int64_t wanted[] = { 1, 2, 3, 5, 40, 41, 90, 91, 300, 301, 400, 5000, 6000 };
	const size_t n = sizeof(wanted) / sizeof(*wanted);
	struct store *store = writer(*state);
	char text[400] = "";
	int64_t boot;
	int deleted;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_boot(store, "aaaa", 1, &boot), STORE_OK);
	for (uint32_t i = 1; i <= 400; i++)
		assert_int_equal(put_process(store, boot, 1000 + i, 1, "x"), i);
	assert_int_equal(store_end_subject(store, 41, 10), STORE_OK);
	assert_int_equal(store_end_subject(store, 300, 10), STORE_OK);
	assert_int_equal(store_expire_subjects(store, 20, 10, &deleted), STORE_OK);
	assert_int_equal(deleted, 2);
	assert_int_equal(store_commit(store), STORE_OK);
	assert_int_equal(store_each_subject_of(store, wanted, n, take_id, text), STORE_OK);
	assert_string_equal(text, "1:1001 2:1002 3:1003 5:1005 40:1040 90:1090 91:1091 301:1301 400:1400 ");
	*text = 0;
	assert_int_equal(store_each_subject_of(store, wanted, 0, take_id, text), STORE_OK);
	assert_int_equal(store_each_subject_of(store, wanted + n - 2, 2, take_id, text), STORE_OK);
	assert_string_equal(text, "");
	assert_int_equal(store_each_subject_of(store, wanted, n, stop_at_subject, NULL), 42);
	store_close(store);
}

static void the_oldest_go_first(void **state)
{
	struct store *store = writer(*state);
	int64_t boot, short_lived, alive, oldest, found;
	int deleted = 0, n = 0;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_boot(store, "aaaa", 1, &boot), STORE_OK);
	short_lived = put_process(store, boot, 10, 1, "short");
	alive = put_process(store, boot, 11, 1, "alive");
	for (int i = 0; i < 3000; i++) {
		static const char blob[200];
		assert_int_equal(store_put_minute(store, alive, 100 + i, blob, sizeof(blob)), STORE_OK);
	}
	assert_int_equal(store_put_minute(store, short_lived, 101, "x", 1), STORE_OK);
	assert_int_equal(store_end_subject(store, short_lived, 101 * 60 + 5), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
	int64_t used = store_used_bytes(store);

	assert_int_equal(store_oldest_unit(store, LEVEL_SECONDS, &oldest), STORE_OK);
	assert_int_equal(oldest, 100);
	assert_int_equal(store_expire(store, LEVEL_SECONDS, 1000, 1, &deleted), STORE_OK);
	assert_int_equal(deleted, 1);
	assert_int_equal(store_oldest_unit(store, LEVEL_SECONDS, &oldest), STORE_OK);
	assert_int_equal(oldest, 101);
	assert_int_equal(store_find_subject(store, 10, 1, &found), STORE_OK);
	do {
		assert_int_equal(store_expire(store, LEVEL_SECONDS, 3000, 500, &deleted), STORE_OK);
	} while (deleted);
	assert_int_equal(store_oldest_unit(store, LEVEL_SECONDS, &oldest), STORE_OK);
	assert_int_equal(oldest, 3000);
	/* Who has no samples left and has ended goes; who lives stays, and so does the node. */
	assert_int_equal(store_expire_subjects(store, 3000 * 60, 10, &deleted), STORE_OK);
	assert_int_equal(deleted, 1);
	assert_int_equal(store_find_subject(store, 10, 1, &found), STORE_ABSENT);
	assert_int_equal(store_find_subject(store, 11, 1, &found), STORE_OK);
	assert_int_equal(store_each_minute(store, alive, 0, 10000, count_minutes, &n), STORE_OK);
	assert_int_equal(n, 100);
	assert_true(store_used_bytes(store) < used / 4);
	assert_int_equal(store_tidy(store), STORE_OK);
	assert_int_equal(store_shorten_wal(store), STORE_OK);
	assert_true(store_bytes(store) < used / 4);
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static int take_setting(void *ctx, const char *name, const char *value)
{
	sprintf((char *)ctx + strlen(ctx), "%s=%s ", name, value);
	return 0;
}

static void settings_stay(void **state)
{
	struct store *store = writer(*state);
	char text[100] = "";

	assert_int_equal(store_put_setting(store, "b", "1"), STORE_OK);
	assert_int_equal(store_put_setting(store, "a", "2"), STORE_OK);
	assert_int_equal(store_put_setting(store, "b", "3"), STORE_OK);
	store_close(store);
	store = writer(*state);
	assert_int_equal(store_each_setting(store, take_setting, text), STORE_OK);
	assert_string_equal(text, "a=2 b=3 ");
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_come_back),
		TEST(what_was_rolled_back_is_not_there),
		TEST(the_check_finds_what_it_names),
		TEST(one_writer_at_a_time),
		TEST(an_instant_is_one_walk),
		TEST(wanted_subjects_are_found_among_others),
		TEST(the_oldest_go_first),
		TEST(settings_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
