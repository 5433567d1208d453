/* SPDX-License-Identifier: MIT */
/* tests/golden/flame.svg is one whole, refreshed with MEMFS_GOLDEN_UPDATE=1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fs/plot/plot_flame.h"
#include "tests/unit/svg.h"

static void render(const char *folded, struct buf *out)
{
	const struct plot_flame flame = { "server (4711)", "Memory that may be leaked", folded,
		strlen(folded) };

	buf_clear(out);
	plot_flame_render(&flame, out);
	assert_int_equal(buf_error(out), 0);
	assert_well_formed(out);
}

/* Of the frame whose tooltip begins with this. */
static void geometry(
	const struct buf *out, const char *tooltip, double *ret_x, double *ret_width, unsigned *ret_y)
{
	char text[300];

	snprintf(text, sizeof(text), "<g class=\"f\"><title>%s (", tooltip);
	const char *at = memmem(out->data, out->len, text, strlen(text));
	if (!at)
		fail_msg("no %s in %.*s", tooltip, (int)out->len, out->data);
	at = strstr(at, "<rect");
	assert_int_equal(sscanf(at, "<rect x=\"%lf\" y=\"%u\" width=\"%lf\"", ret_x, ret_y, ret_width), 3);
}

static void frames_are_as_wide_as_their_bytes(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	double x, width, all_x, all_width;
	unsigned y, all_y;

	render("main;load;parse 3072\nmain;serve 1024\nmain;load 1024\nmain;load;parse 1024\n", &out);
	assert_count(&out, "<g class=\"f\">", 5); /* all, main, load, parse, serve */
	geometry(&out, "all", &all_x, &all_width, &all_y);
	geometry(&out, "main", &x, &width, &y);
	assert_true(width == all_width && x == all_x && y < all_y);
	geometry(&out, "load", &x, &width, &y);
	assert_true(width > all_width * .83 && width < all_width * .84 && x == all_x);
	geometry(&out, "serve", &x, &width, &y);
	assert_true(x > all_width * .83 && x + width <= all_x + all_width + .2);
	assert_count(&out, "<title>parse (4 KiB, 66.7 %)</title>", 1);
	assert_count(&out, "<title>all (6 KiB, 100 %)</title>", 1);
	assert_count(&out, "Memory that may be leaked, 6 KiB", 1);
}

static void a_name_has_its_colour(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	char colour[2][8];

	for (int i = 0; i < 2; i++) {
		render(i ? "main;other;load 5\nx 7\n" : "main;load 100\n", &out);
		const char *at = memmem(out.data, out.len, "<title>load (", 13);
		assert_non_null(at);
		memcpy(colour[i], strstr(at, "fill=\"") + 6, 7);
	}
	assert_memory_equal(colour[0], colour[1], 7);
}

static void names_are_cut_where_they_do_not_fit(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	render("main;a_name_that_is_rather_long_for_its_place 100\nmain;b 1000\nmain;c 100000\n", &out);
	assert_count(&out, "<title>a_name_that_is_rather_long_for_its_place (", 1);
	assert_count(&out, ">a_name_that_is_rather_long_for_its_place</text>", 0);
	assert_count(&out, ">main</text>", 1);
	assert_count(&out, ">b</text>", 0);
}

static void lines_that_are_none_are_left_out(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	render("\nmain\nmain x\n 5\nmain 0\nmain -5\n18446744073709551616 18446744073709551616\n;; 6\nm<&> 9",
		&out);
	/* all; three frames without a name; one with an odd one */
	assert_count(&out, "<g class=\"f\">", 5);
	assert_count(&out, "<title>m&lt;&amp;&gt; (9 B, 60 %)</title>", 1);
	assert_count(&out, "<title>- (", 3);
	render("", &out);
	assert_count(&out, "<g class=\"f\">", 0);
	assert_count(&out, "nothing is there", 1);
	/* Beyond 64 bits there is no sum. */
	render("a 18446744073709551615\nb 1\n", &out);
	assert_count(&out, "<g class=\"f\">", 2);
}

static void deep_stacks_end_at_a_depth(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT, folded = BUF_INIT;

	for (unsigned i = 0; i < 3 * PLOT_FLAME_DEPTH; i++)
		buf_puts(&folded, i ? ";f" : "f");
	buf_puts(&folded, " 5\nf 1\n");
	buf_putc(&folded, 0);
	render(folded.data, &out);
	assert_count(&out, "<g class=\"f\">", PLOT_FLAME_DEPTH + 1);
	buf_deinit(&folded);
}

static void the_whole_is_as_it_was(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	render("main;serve;shop::Shelf<int>::put(int const&);operator new(unsigned long) 73400320\n"
	       "main;serve;session_new 12582912\nmain;serve;session_new;strdup 1048576\n"
	       "main;load_config;xmalloc 4194304\nclone;worker;cache_fill 31457280\n",
		&out);
	assert_golden(&out, FIXTURES "/../golden/flame.svg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_as_wide_as_their_bytes),
		cmocka_unit_test(a_name_has_its_colour),
		cmocka_unit_test(names_are_cut_where_they_do_not_fit),
		cmocka_unit_test(lines_that_are_none_are_left_out),
		cmocka_unit_test(deep_stacks_end_at_a_depth),
		cmocka_unit_test(the_whole_is_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
