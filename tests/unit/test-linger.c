/* SPDX-License-Identifier: MIT */
/* When a thread looks for the next request before it sleeps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "fs/fuse/linger.h"
#include "schema/base/clock.h"

/* Quick, however long this test is kept from going on. */
static void answer_just_now(struct linger *linger)
{
	linger_answered(linger);
	linger->answered_ns += 3600 * INT64_C(1000000000);
}

static void a_burst_is_lingered_for_and_what_comes_alone_is_not(void **state)
{
	struct linger linger;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	linger_init(&linger);
	linger.never = false; /* whatever this machine has */
	for (unsigned i = 0; i < LINGER_QUICK; i++) {
		/* At once: nothing is there to be waited for, and it is not looked. */
		linger_for(&linger, ends[0]);
		assert_int_equal(linger.quick, i);
		answer_just_now(&linger);
		linger_received(&linger);
	}
	assert_int_equal(linger.quick, LINGER_QUICK);
	linger_received(&linger);
	assert_int_equal(linger.quick, LINGER_QUICK);

	assert_int_equal(write(ends[1], "", 1), 1);
	linger_answered(&linger);
	linger_for(&linger, ends[0]);
	assert_int_equal(linger.quick, LINGER_QUICK);

	/* Nobody comes any more. */
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 1);
	linger_answered(&linger);
	linger_for(&linger, ends[0]);
	assert_int_equal(linger.quick, 0);

	/* Each long after the other. */
	for (unsigned i = 0; i < 2 * LINGER_QUICK; i++) {
		linger.answered_ns = clock_monotonic_ns() - 2 * LINGER_APART * INT64_C(1000);
		linger_received(&linger);
		assert_int_equal(linger.quick, 0);
	}
	close(ends[0]);
	close(ends[1]);
}

static void alone_on_a_processor_nobody_lingers(void **state)
{
	struct linger linger = { .never = true };

	for (unsigned i = 0; i < 2 * LINGER_QUICK; i++) {
		linger_answered(&linger);
		linger_received(&linger);
	}
	assert_int_equal(linger.quick, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_lingered_for_and_what_comes_alone_is_not),
		cmocka_unit_test(alone_on_a_processor_nobody_lingers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
