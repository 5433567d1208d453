/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/base/err.h"

static void records_code_and_sentence(void **state)
{
	struct err err = { 0 };

	assert_int_equal(err_set(&err, EINVAL, "no %s of %d", "file", 7), -EINVAL);
	assert_int_equal(err.code, EINVAL);
	assert_string_equal(err.reason, "no file of 7");
}

static void the_first_failure_stays(void **state)
{
	struct err err = { 0 };

	err_set(&err, ENOENT, "first");
	assert_int_equal(err_set(&err, EIO, "second"), -EIO);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.reason, "first");
}

static void nobody_need_ask(void **state)
{
	assert_int_equal(err_set(NULL, EIO, "%s", "unheard"), -EIO);
}

static void a_long_sentence_is_cut(void **state)
{
	struct err err = { 0 };
	char text[2 * ERR_REASON_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.reason), ERR_REASON_MAX - 1);
}

static void names_are_symbolic(void **state)
{
	assert_string_equal(err_name(EHOSTDOWN), "EHOSTDOWN");
	assert_string_equal(err_name(99999), "E?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_code_and_sentence),
		cmocka_unit_test(the_first_failure_stays),
		cmocka_unit_test(nobody_need_ask),
		cmocka_unit_test(a_long_sentence_is_cut),
		cmocka_unit_test(names_are_symbolic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
