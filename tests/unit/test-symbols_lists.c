/* SPDX-License-Identifier: MIT */
/* Patterns: wrappers, suppressions, noise of the runtime; and folded lines. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "collector/symbols/folded.h"
#include "collector/symbols/glob.h"
#include "collector/symbols/noise.h"
#include "collector/symbols/skip.h"
#include "collector/symbols/suppress.h"

static struct span span_of(const char *text)
{
	return (struct span) { text, strlen(text) };
}

static void globs_match_the_whole(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "abc", true },
		{ "a*c", "abc", true },
		{ "a*c", "abcd", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "*b*b*", "abcb", true },
		{ "*b*b*", "abc", false },
		{ "x*alloc", "xalloc", true },
		{ "x*alloc", "xrealloc_alloc", true },
		{ "x*alloc", "xallocate", false },
		{ "a**", "a", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
			glob_matches(span_of(cases[i].pattern), span_of(cases[i].text)), cases[i].matches);
}

static void known_wrappers_are_skipped(void **state)
{
	static const struct {
		const char *function, *module;
		bool wrapper;
	} cases[] = {
		{ "operator new(unsigned long)", "server", true },
		{ "operator new[](unsigned long, std::nothrow_t const&)", "server", true },
		{ "xmalloc", "git", true },
		{ "xrealloc", "git", true },
		{ "xstrdup", "git", true },
		{ "sqlite3MemMalloc", "libsqlite3.so.0.8.6", true },
		{ "sqlite3DbMallocRawNN", "libsqlite3.so.0.8.6", true },
		{ "sqlite3_exec", "libsqlite3.so.0.8.6", false },
		{ "g_malloc0", "libglib-2.0.so.0", true },
		{ "g_hash_table_new", "libglib-2.0.so.0", false },
		{ "std::vector<int, std::allocator<int> >::push_back(int const&)", "server", true },
		{ "void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>(int&&)", "server",
			true },
		{ "std::unique_ptr<Shop> std::make_unique<Shop>()", "server", true },
		{ "shop::Shelf<std::string>::put(std::string const&)", "server", false },
		{ "std::string shop::name<int>(int)", "server", false },
		{ "(anonymous namespace)::fill(int)", "server", false },
		{ "shop::Box::operator new(unsigned long)", "server", false },
		{ "alloc::raw_vec::RawVec<T,A>::reserve", "tool", true },
		{ "<alloc::vec::Vec<shop::Item>>::push", "tool", true },
		{ "<shop::Shelf as core::clone::Clone>::clone", "tool", false },
		{ "getline", "libc.so.6", true },
		{ NULL, "libc.so.6", true },
		{ NULL, "server", false },
		{ "main", "server", false },
		{ "", "", false },
		{ NULL, NULL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (skip_matches(&skip_builtin, 1, cases[i].function, cases[i].module) != cases[i].wrapper)
			fail_msg("%s of %s", cases[i].function, cases[i].module);
}

static void the_last_pattern_decides(void **state)
{
	static const char text[] =
		"# ours\nshop_*\n!shop_order\n\n  module:libshop.so*  \r\n!module:libc.so*\nmy_new\n";
	struct skip_pattern pattern[8];
	struct span rest = span_of(text);
	size_t n = 0;
	int r;

	while ((r = skip_next(&rest, &pattern[n], NULL)) == 1)
		n++;
	assert_int_equal(r, 0);
	assert_int_equal(n, 5);
	assert_true(pattern[2].module && span_equals(pattern[2].text, "libshop.so*"));
	const struct skip_list lists[] = { skip_builtin, { pattern, n } };
	assert_true(skip_matches(lists, 2, "shop_alloc", "server"));
	assert_false(skip_matches(lists, 2, "shop_order", "server"));
	assert_true(skip_matches(lists, 2, "anything", "libshop.so.2"));
	assert_false(skip_matches(lists, 2, "qsort", "libc.so.6"));
	assert_true(skip_matches(lists, 2, "my_new(int)", "server"));
	assert_true(skip_matches(lists, 2, "xmalloc", "server"));
}

static void lines_that_cannot_be_meant_are_refused(void **state)
{
	static const char text[] = "*\nfine\nmodule:\n!\nmodule:*?\n!*\n";
	struct skip_pattern pattern;
	struct err err = { 0 };
	struct span rest = span_of(text);

	assert_int_equal(skip_next(&rest, &pattern, &err), -EINVAL);
	assert_string_equal(err.reason, "'*' would skip everything");
	assert_int_equal(skip_next(&rest, &pattern, NULL), 1);
	err = (struct err) { 0 };
	assert_int_equal(skip_next(&rest, &pattern, &err), -EINVAL);
	assert_string_equal(err.reason, "no pattern in 'module:'");
	assert_int_equal(skip_next(&rest, &pattern, NULL), -EINVAL);
	assert_int_equal(skip_next(&rest, &pattern, NULL), -EINVAL);
	assert_int_equal(skip_next(&rest, &pattern, NULL), 1); /* nothing is skipped at all */
	assert_true(pattern.except);
	assert_int_equal(skip_next(&rest, &pattern, NULL), 0);
}

static void the_caller_shown_is_one_to_act_on(void **state)
{
	static const struct skip_frame stack[] = { { "malloc", "libc.so.6" },
		{ "operator new(unsigned long)", NULL },
		{ "std::string::_M_create(unsigned long&, unsigned long)", "server" },
		{ "load(int)", "server" }, { "main", "server" } };
	bool wrapper;

	assert_int_equal(skip_choose(&skip_builtin, 1, stack, 5, &wrapper), 3);
	assert_false(wrapper);
	/* Exact mode has one place, with what is inlined there. */
	assert_int_equal(skip_choose(&skip_builtin, 1, stack, 3, &wrapper), 2);
	assert_true(wrapper);
	assert_int_equal(skip_choose(&skip_builtin, 1, stack, 1, &wrapper), 0);
	assert_true(wrapper);
	assert_int_equal(skip_choose(&skip_builtin, 0, stack, 1, &wrapper), 0);
	assert_false(wrapper);
}

static void suppressions_match_as_documented(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "FooBar", "FooBar", true },
		{ "FooBar", "namespace::FooBar(int)", true },
		{ "FooBar", "Foo", false },
		{ "^Foo", "FooBar", true },
		{ "^Foo", "aFoo", false },
		{ "Bar$", "FooBar", true },
		{ "Bar$", "FooBarBar", true },
		{ "Bar$", "FooBars", false },
		{ "^FooBar$", "FooBar", true },
		{ "^FooBar$", "FooBarFooBar", false },
		{ "^Foo*Bar$", "FooBar", true },
		{ "^Foo*Bar$", "Foo Bar and Bar", true },
		{ "*Leaking*", "MyLeakingFunction", true },
		{ "a*b*c", "xxaxxbxxcxx", true },
		{ "a*b*c", "xxaxxcxxbxx", false },
		{ "^*c$", "abc", true },
		{ "libfontconfig", "/usr/lib/libfontconfig.so.1", true },
		{ "*", "", true },
		{ "^", "anything", true },
		{ "^$", "", true },
		{ "^$", "a", false },
		{ "ab$", "b", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (suppress_matches(span_of(cases[i].pattern), cases[i].text) != cases[i].matches)
			fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

static void suppression_files_are_read(void **state)
{
	static const char text[] =
		"# known\n\nleak:FooBar\n  leak:libfont*.so  \nrace:Other\nleak:a:b\nnonsense\n"
		"leak:\n:x\nleak:last";
	static const char *const expected[] = { "FooBar", "libfont*.so", "a:b" };
	struct span rest = span_of(text), pattern;
	struct err err = { 0 };

	for (int i = 0; i < 3; i++) {
		assert_int_equal(suppress_next(&rest, &pattern, NULL), 1);
		assert_true(span_equals(pattern, expected[i]));
	}
	assert_int_equal(suppress_next(&rest, &pattern, &err), -EINVAL);
	assert_string_equal(err.reason, "'nonsense' is not leak:PATTERN");
	assert_int_equal(suppress_next(&rest, &pattern, NULL), -EINVAL);
	assert_int_equal(suppress_next(&rest, &pattern, NULL), -EINVAL);
	assert_int_equal(suppress_next(&rest, &pattern, NULL), 1);
	assert_true(span_equals(pattern, "last"));
	assert_int_equal(suppress_next(&rest, &pattern, NULL), 0);
}

static void what_the_runtime_keeps_is_noise(void **state)
{
	static const struct {
		const char *function, *module;
		uint64_t size_bytes;
		enum noise noise;
	} cases[] = {
		{ "_IO_file_doallocate", "libc.so.6", 4096, NOISE_STDIO },
		{ "_IO_file_doallocate", "static", 1024, NOISE_STDIO },
		{ "_dl_allocate_tls", "ld-linux-x86-64.so.2", 304, NOISE_THREAD },
		{ "allocate_dtv", "ld-linux-x86-64.so.2", 304, NOISE_THREAD },
		{ NULL, "ld-linux-x86-64.so.2", 304, NOISE_LOADER },
		{ NULL, "libstdc++.so.6.0.30", 72704, NOISE_CXX_POOL },
		{ NULL, "libstdc++.so.6.0.30", 72705, NOISE_NONE },
		{ "main", "server", 72704, NOISE_NONE },
		{ "_nl_load_locale_from_archive", "libc.so.6", 8, NOISE_LOCALE },
		{ "setlocale", "libc.so.6", 8, NOISE_LOCALE },
		{ "_dlerror_run", "libc.so.6", 8, NOISE_LOADER },
		{ "tzset_internal", "libc.so.6", 8, NOISE_TIME_ZONE },
		{ "__new_exitfn", "libc.so.6", 1040, NOISE_EXIT },
		{ "strdup", "libc.so.6", 8, NOISE_NONE },
		{ NULL, "libc.so.6", 8, NOISE_NONE },
		{ NULL, NULL, 8, NOISE_NONE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
			noise_of(cases[i].function, cases[i].module, cases[i].size_bytes), cases[i].noise);
	for (int i = 0; i < N_NOISES; i++)
		assert_non_null(noise_name[i]);
}

static void folded_lines_keep_their_shape(void **state)
{
	struct buf out CLEANUP_BUF = BUF_INIT;

	folded_put_frame(&out, "main", true);
	folded_put_frame(&out, "a;b\nc", false);
	folded_put_frame(&out, NULL, false);
	folded_put_frame(&out, "shop::put(int const&)", false);
	folded_put_bytes(&out, UINT64_MAX);
	buf_putc(&out, 0);
	assert_string_equal(out.data, "main;a:b?c;-;shop::put(int const&) 18446744073709551615\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs_match_the_whole),
		cmocka_unit_test(known_wrappers_are_skipped),
		cmocka_unit_test(the_last_pattern_decides),
		cmocka_unit_test(lines_that_cannot_be_meant_are_refused),
		cmocka_unit_test(the_caller_shown_is_one_to_act_on),
		cmocka_unit_test(suppressions_match_as_documented),
		cmocka_unit_test(suppression_files_are_read),
		cmocka_unit_test(what_the_runtime_keeps_is_noise),
		cmocka_unit_test(folded_lines_keep_their_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
