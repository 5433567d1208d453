/* SPDX-License-Identifier: MIT */
/* What is remembered between counts: who grows and who levels off, told once, also by a successor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "collector/leaks/book.h"
#include "collector/leaks/keep.h"
#include "collector/leaks/report.h"
#include "tests/unit/shadow_world.h"

enum { WINDOW_S = 600, STEP_S = WINDOW_S / GROWTH_SAMPLES, LEAST = 1 << 20 };
static const int64_t second_ns = 1000000000;
static const struct keep_teller teller = { 1, 2 }, other = { 1, 3 };

/* A tally of one site. */
static struct tally tally_of(uint32_t site, uint64_t live_bytes, uint64_t suspect_bytes)
{
	struct tally tally = { .place = calloc(TALLY_SITES, sizeof(*tally.place)),
		.site = calloc(1, sizeof(*tally.site)),
		.n = 1,
		.cap = 1,
		.live_bytes = live_bytes };
	tally.place[site] = 1;
	tally.site[0] = (struct tally_site) {
		.site = site, .live_bytes = live_bytes, .live_blocks = 1, .suspect_bytes = suspect_bytes
	};
	return tally;
}

static unsigned take(struct book *book, uint64_t live_bytes, uint64_t suspect_bytes, int64_t now_ns,
	struct book_telling telling[static BOOK_TELLINGS_MAX])
{
	struct tally tally = tally_of(5, live_bytes, suspect_bytes);
	unsigned n = book_take(book, &tally, now_ns, LEAST, WINDOW_S, telling);
	tally_deinit(&tally);
	return n;
}

static void a_site_that_grows_is_told_once(void **state)
{
	struct book book;
	struct book_telling telling[BOOK_TELLINGS_MAX];
	unsigned told = 0;

	book_init(&book);
	for (int i = 1; i < 100; i++) {
		unsigned n = take(&book, (uint64_t)i * 200000, 0, i * STEP_S * second_ns, telling);
		if (n) {
			assert_int_equal(telling[0].what, BOOK_GROWS);
			assert_int_equal(telling[0].site, 5);
			assert_true(telling[0].rate > 6000 && telling[0].rate < 7000);
			assert_true(i >= GROWTH_SAMPLES);
		}
		told += n;
	}
	assert_int_equal(told, 1);
	book_deinit(&book);
}

static void a_cache_that_levels_off_is_none(void **state)
{
	struct book book;
	struct book_telling telling[BOOK_TELLINGS_MAX];
	uint64_t bytes = 0, full = 50 << 20;

	book_init(&book);
	for (int i = 1; i < 200; i++) {
		bytes += (full - bytes) / 8;
		assert_int_equal(take(&book, bytes, 0, i * STEP_S * second_ns, telling), 0);
	}
	book_deinit(&book);
}

static void old_blocks_are_told_once_and_rates_need_a_minute(void **state)
{
	struct book book;
	struct book_telling telling[BOOK_TELLINGS_MAX];

	book_init(&book);
	assert_int_equal(take(&book, LEAST, LEAST - 1, 1001 * second_ns, telling), 0);
	assert_int_equal(take(&book, LEAST, LEAST, 1011 * second_ns, telling), 1);
	assert_int_equal(telling[0].what, BOOK_OLD);
	assert_int_equal(take(&book, LEAST, LEAST, 1021 * second_ns, telling), 0);
	assert_true(book_rate(book.past, LEAST, 1021 * second_ns) == LEAK_RATE_UNKNOWN);
	assert_int_equal(book_rate(book.past, LEAST + 6000, 1061 * second_ns), 100);
	/* Since the newest sample that is a minute old. */
	assert_int_equal(book_rate(book.past, LEAST + 6000, 1071 * second_ns), 100);
	assert_int_equal(book_rate(book.past, 0, 1081 * second_ns), -LEAST / 60);
	book_deinit(&book);
}

static void a_successor_tells_nothing_twice(void **state)
{
	struct shadow_world world;
	struct book book, next;
	struct book_telling telling[BOOK_TELLINGS_MAX];

	shadow_world_make(&world, 4, SHADOW_EXACT, 1000);
	assert_true(keep_read_min_age_s(world.fd) == KEEP_NO_AGE);
	book_init(&book);
	keep_read_book(world.fd, &teller, &book);
	for (int i = 1; i < 40; i++)
		take(&book, (uint64_t)i * 200000, LEAST, i * STEP_S * second_ns, telling);
	assert_int_equal(keep_write_min_age_s(world.fd, 7), 0);
	assert_int_equal(keep_write_book(world.fd, &teller, &book), 0);
	assert_int_equal(keep_read_min_age_s(world.fd), 7);

	book_init(&next);
	keep_read_book(world.fd, &teller, &next);
	for (int i = 40; i < 60; i++)
		assert_int_equal(
			take(&next, (uint64_t)i * 200000, LEAST, i * STEP_S * second_ns, telling), 0);
	book_deinit(&next);

	/* People of another memfs were told nothing yet. */
	book_init(&next);
	keep_read_book(world.fd, &other, &next);
	assert_int_equal(g_hash_table_size(next.sites), 0);
	book_deinit(&next);

	/* Whatever somebody else wrote there. */
	uint64_t n = UINT64_MAX;
	for (unsigned at = 0; at < 64; at += 8)
		shadow_poke(&world, &n, sizeof(n), SHADOW_KEEP_AT + at);
	book_init(&next);
	keep_read_book(world.fd, &teller, &next);
	assert_int_equal(g_hash_table_size(next.sites), 0);
	assert_true(keep_read_min_age_s(world.fd) == KEEP_NO_AGE);
	book_deinit(&next);
	book_deinit(&book);
	close(world.fd);
}

#define HEAP UINT64_C(0x55d5c0000000)

static void a_report_has_its_sites_in_order(void **state)
{
	struct shadow_world world;
	struct book book;
	struct report report;
	struct buf text = BUF_INIT;
	const struct report_options options = { .min_age_ms = 60000 };

	shadow_world_make(&world, 4, SHADOW_EXACT, 100000);
	uint32_t module = shadow_world_module(&world, "/usr/bin/a\tb", 0x400000);
	shadow_world_site(&world, 3, 0x401234, module);
	shadow_world_site(&world, 4, shadow_world_name(&world, "cache"), 0);
	shadow_world_put(&world, HEAP, 1000, 3, shadow_epoch_at(99000), 0);
	shadow_world_put(&world, HEAP + 0x1000, 10, 4, 0, 0);
	shadow_world_put(&world, HEAP + 0x2000, 5, 0, 0, 0);
	shadow_world_put(&world, HEAP + 0x3000, 70, 3, 0, SHADOW_KEPT);
	book_init(&book);
	assert_int_equal(report_take(world.fd, &book, &options, &report), 0);
	assert_int_equal(report.stat.live_bytes, 1085);
	assert_int_equal(report.stat.suspect_bytes, 15);
	assert_int_equal(report.stat.kept_bytes, 70);
	assert_int_equal(report.stat.sites, 3);
	report_put_callers(&report, &text);
	buf_putc(&text, '\0');
	assert_non_null(strstr(text.data, "\n10\t1\t10\t1\t10"));
	assert_non_null(strstr(text.data, "\t-\t-\tcache\t-\n5\t1\t5\t1\t10"));
	assert_non_null(strstr(text.data, "\t-\t0x401234\t-\t/usr/bin/a\\011b\n"));
	buf_clear(&text);
	report_put_folded(&report, &text);
	buf_putc(&text, '\0');
	assert_string_equal(text.data, "cache 10\n0x0 5\na?b;0x1234 1070\n");
	buf_deinit(&text);
	report_deinit(&report);
	book_deinit(&book);
	close(world.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_site_that_grows_is_told_once),
		cmocka_unit_test(a_cache_that_levels_off_is_none),
		cmocka_unit_test(old_blocks_are_told_once_and_rates_need_a_minute),
		cmocka_unit_test(a_successor_tells_nothing_twice),
		cmocka_unit_test(a_report_has_its_sites_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
