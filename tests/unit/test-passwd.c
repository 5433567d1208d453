/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "schema/proc/passwd.h"

static void check(const char *text, const char *name, uint32_t uid)
{
	struct span rest = { text, strlen(text) };
	struct passwd user;

	assert_true(passwd_next(&rest, &user));
	assert_int_equal(user.name.n, strlen(name));
	assert_memory_equal(user.name.p, name, user.name.n);
	assert_int_equal(user.uid, uid);
	assert_false(passwd_next(&rest, &user));
}

static void users_are_named(void **state)
{
	check("root:x:0:0:root:/root:/bin/bash\n", "root", 0);
	check("nobody:x:65534:65534::/:/x", "nobody", 65534);
	check("a b:x:4294967295:0\n", "a b", UINT32_MAX);
}

static void what_names_nobody_is_passed_over(void **state)
{
	check("#x:x:1:1\n+::::::\n+@staff:x:5:5\n-bad:x:6:6\n\n:x:7:7\nfoo:x:\nfoo:x:-1:\nfoo:x:4294967296:\n"
	      "foo:x:12\nbar:x:3:",
		"bar", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_named),
		cmocka_unit_test(what_names_nobody_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
