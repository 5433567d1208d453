/* SPDX-License-Identifier: MIT */
/* What remains of processes that ended: what is stored of one comes back, names stay, and few are kept. */
#include <inttypes.h>

#include "tests/unit/store_world.h"

#define NS INT64_C(1000000000)

static struct store_ended whole(uint32_t pid, uint64_t start_ticks, int64_t start_s)
{
	return (struct store_ended) {
		.name.pid = pid,
		.boot = 1,
		.start_ticks = start_ticks,
		.start_ns = start_s * NS + 250000000,
		.end_ns = (start_s + 10) * NS,
		.reason = "exit 3",
		.known = STORE_ENDED_PPID | STORE_ENDED_UID | STORE_ENDED_GID | STORE_ENDED_THREADS,
		.comm = "a\\012b",
		.args = "a b",
		.state = "S",
		.ppid = 1,
		.uid = 1000,
		.gid = UINT32_MAX,
		.threads = 4,
		.stat = "{\"rss\":4096,\"no_such_metric\":1}",
		.rate = "{\"rss_1s\":-5}",
	};
}

static void put(struct store *store, const struct store_ended *ended)
{
	assert_int_equal(store_put_ended(store, ended), STORE_OK);
}

static int64_t find(struct store *store, uint32_t pid, int64_t start_s, uint32_t nth)
{
	struct store_ended_name name = { .pid = pid, .start_s = start_s, .nth = nth };
	int64_t id = 0;
	int r = store_find_ended(store, &name, &id);

	assert_true(r == STORE_OK || r == STORE_ABSENT);
	return id;
}

static int print_ended(void *ctx, const struct store_ended *ended)
{
	sprintf(ctx,
		"%u-%" PRId64 "-%u %s %s %s %s known %x %u %u %u %u subject %" PRId64 " %" PRId64 " %" PRId64,
		ended->name.pid, ended->name.start_s, ended->name.nth, ended->reason,
		ended->comm ? ended->comm : "-", ended->args ? ended->args : "-",
		ended->state ? ended->state : "-", ended->known, ended->ppid, ended->uid, ended->gid,
		ended->threads, ended->subject, ended->start_ns, ended->end_ns);
	return 0;
}

static int print_number(void *ctx, const char *name, int64_t number)
{
	sprintf((char *)ctx + strlen(ctx), "%s=%" PRId64 " ", name, number);
	return 0;
}

static int print_name(void *ctx, const struct store_ended_name *name)
{
	sprintf((char *)ctx + strlen(ctx), "%" PRId64 ":%u-%" PRId64 "-%u ", name->id, name->pid,
		name->start_s, name->nth);
	return 0;
}

static struct store *open_with_boot(const struct scratch *scratch)
{
	struct store *store = writer(scratch);
	int64_t boot;

	assert_int_equal(store_put_boot(store, "aaaa", 500, &boot), STORE_OK);
	assert_int_equal(boot, 1);
	return store;
}

static void what_was_stored_comes_back(void **state)
{
	struct store *store = open_with_boot(*state);
	struct store_ended ended = whole(77, 5, 1000);
	char text[400] = "";
	int64_t subject = put_process(store, 1, 77, 5, "a");

	put(store, &ended);
	int64_t id = find(store, 77, 1000, 1);
	assert_int_equal(store_get_ended(store, id, print_ended, text), STORE_OK);
	char expected[400];
	sprintf(expected,
		"77-1000-1 exit 3 a\\012b a b S known f 1 1000 4294967295 4 subject %" PRId64
		" 1000250000000 1010000000000",
		subject);
	assert_string_equal(text, expected);
	*text = 0;
	assert_int_equal(
		store_each_ended_number(store, id, STORE_ENDED_VALUES, print_number, text), STORE_OK);
	assert_string_equal(text, "rss=4096 no_such_metric=1 ");
	*text = 0;
	assert_int_equal(store_each_ended_number(store, id, STORE_ENDED_RATES, print_number, text), STORE_OK);
	assert_string_equal(text, "rss_1s=-5 ");
	assert_int_equal(store_get_ended(store, id + 1, print_ended, text), STORE_ABSENT);
	assert_int_equal(find(store, 77, 1000, 2), 0);
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static void what_is_unknown_stays_so(void **state)
{
	struct store *store = open_with_boot(*state);
	struct store_ended ended = { .name.pid = 5,
		.boot = 1,
		.start_ticks = 1,
		.start_ns = 9 * NS,
		.end_ns = 9 * NS,
		.reason = "signal 9 SIGKILL" };
	char text[400] = "";

	put(store, &ended);
	int64_t id = find(store, 5, 9, 1);
	assert_int_equal(store_get_ended(store, id, print_ended, text), STORE_OK);
	assert_string_equal(
		text, "5-9-1 signal 9 SIGKILL - - - known 0 0 0 0 0 subject 0 9000000000 9000000000");
	*text = 0;
	assert_int_equal(
		store_each_ended_number(store, id, STORE_ENDED_VALUES, print_number, text), STORE_OK);
	assert_string_equal(text, "");
	store_close(store);
}

/* A pid is used again within a second, or at the same time of another boot. */
static void of_one_name_the_later_gets_a_number(void **state)
{
	struct store *store = open_with_boot(*state);
	struct store_ended first = whole(7, 5, 1000), second = whole(7, 6, 1000), third = whole(7, 5, 1000);
	int64_t boot, deleted_before;
	int deleted;
	const int64_t all[2] = { 100, 100 };

	put(store, &first);
	put(store, &second);
	assert_int_equal(store_put_boot(store, "bbbb", 500, &boot), STORE_OK);
	third.boot = boot;
	third.end_ns = 5000 * NS;
	put(store, &third);
	int64_t ids[3] = { find(store, 7, 1000, 1), find(store, 7, 1000, 2), find(store, 7, 1000, 3) };
	assert_true(ids[0] > 0 && ids[1] > ids[0] && ids[2] > ids[1]);
	/* Where the earlier ones have gone, a name still means the same. */
	assert_int_equal(store_expire_ended(store, 4000 * NS, all, 10, &deleted), STORE_OK);
	assert_int_equal(deleted, 2);
	assert_int_equal(find(store, 7, 1000, 1), 0);
	assert_int_equal(find(store, 7, 1000, 3), ids[2]);
	/* And its id is no other's, whatever goes. */
	deleted_before = ids[2];
	assert_int_equal(store_expire_ended(store, INT64_MAX, all, 10, &deleted), STORE_OK);
	put(store, &first);
	assert_true(find(store, 7, 1000, 1) > deleted_before);
	store_close(store);
}

static void told_twice_it_is_one(void **state)
{
	struct store *store = open_with_boot(*state);
	struct store_ended known = whole(7, 5, 1000), bare = whole(7, 5, 1000);
	char text[400] = "";

	bare.reason = "unknown";
	bare.comm = bare.args = bare.stat = NULL;
	bare.known = 0;
	bare.end_ns = 2000 * NS;
	/* What is known stays, whoever says less later. */
	put(store, &known);
	put(store, &bare);
	int64_t id = find(store, 7, 1000, 1);
	assert_int_equal(store_get_ended(store, id, print_ended, text), STORE_OK);
	assert_non_null(strstr(text, "exit 3 a\\012b"));
	/* What is known later is taken over; nobody's end is later than when it was found. */
	known.start_ticks = bare.start_ticks = 6;
	put(store, &bare);
	put(store, &known);
	id = find(store, 7, 1000, 2);
	assert_int_equal(store_get_ended(store, id, print_ended, text), STORE_OK);
	assert_non_null(strstr(text, "exit 3 a\\012b"));
	assert_non_null(strstr(text, " 1010000000000"));
	assert_int_equal(find(store, 7, 1000, 3), 0);
	store_close(store);
}

static void a_lost_subject_leaves_its_row(void **state)
{
	struct store *store = open_with_boot(*state);
	int64_t subject = put_process(store, 1, 44, 5, "lost");
	char text[400] = "";

	assert_int_equal(store_put_ended_subject(store, subject, 1500), STORE_OK);
	assert_int_equal(store_put_ended_subject(store, subject, 1600), STORE_OK); /* once */
	assert_int_equal(store_get_ended(store, find(store, 44, 1000, 1), print_ended, text), STORE_OK);
	char expected[200];
	sprintf(expected,
		"44-1000-1 unknown lost - - known 2 0 7 0 0 subject %" PRId64 " 1000000000000 1500000000000",
		subject);
	assert_string_equal(text, expected);
	assert_int_equal(find(store, 44, 1000, 2), 0);
	store_close(store);
}

static void age_and_number_are_bounded(void **state)
{
	struct store *store = open_with_boot(*state);
	const int64_t many[2] = { 100, 100 }, few[2] = { 10, 3 };
	int deleted;
	char text[4000] = "";

	assert_int_equal(store_begin(store), STORE_OK);
	for (uint32_t i = 0; i < 40; i++) {
		struct store_ended ended = whole(100 + i, i, 1000 + i);
		ended.brief = i % 2;
		put(store, &ended);
	}
	assert_int_equal(store_expire_ended(store, 1010 * NS, many, 10, &deleted), STORE_OK);
	assert_int_equal(deleted, 0);
	/* Ended before second 1020: the first ten. */
	assert_int_equal(store_expire_ended(store, 1020 * NS, many, 10, &deleted), STORE_OK);
	assert_int_equal(deleted, 10);
	/* Of fifteen of each kind, bounded work, the oldest first. */
	assert_int_equal(store_expire_ended(store, 0, few, 4, &deleted), STORE_OK);
	assert_int_equal(deleted, 8);
	assert_int_equal(store_expire_ended(store, 0, few, 100, &deleted), STORE_OK);
	assert_int_equal(deleted, 9);
	assert_int_equal(store_commit(store), STORE_OK);
	assert_int_equal(store_each_ended_name(store, 0, 100, print_name, text), STORE_OK);
	unsigned brief = 0, others = 0;
	for (uint32_t i = 0; i < 40; i++) {
		bool is_there = find(store, 100 + i, 1000 + i, 1);
		assert_int_equal(is_there, i % 2 ? i >= 35 : i >= 20);
		*(i % 2 ? &brief : &others) += is_there;
	}
	assert_int_equal(brief, 3);
	assert_int_equal(others, 10);
	/* A listing goes on where it stood. */
	char parts[4000] = "";
	struct store_ended_name last = { 0 };
	int64_t id = find(store, 139, 1039, 1);
	assert_int_equal(store_each_ended_name(store, 0, 5, print_name, parts), STORE_OK);
	sscanf(strrchr(parts, ':') - 2, "%" SCNd64, &last.id);
	assert_int_equal(store_each_ended_name(store, last.id, 100, print_name, parts), STORE_OK);
	assert_string_equal(parts, text);
	*parts = 0;
	assert_int_equal(store_each_ended_name(store, id, 100, print_name, parts), STORE_OK);
	assert_string_equal(parts, "");
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_stored_comes_back),
		TEST(what_is_unknown_stays_so),
		TEST(of_one_name_the_later_gets_a_number),
		TEST(told_twice_it_is_one),
		TEST(a_lost_subject_leaves_its_row),
		TEST(age_and_number_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
