/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fs/fuse/parking.h"

/* The parking has no end: it is a serve's for life. So all tests share one. */
struct lot {
	struct parking *parking;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned begun, ended;
	bool open; /* the jobs that wait may go on */
	unsigned order[1000];
};

static int begin(void **state)
{
	static struct lot lot = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

	*state = &lot;
	return parking_new(&lot.parking);
}

static void reset(struct lot *lot, bool open)
{
	pthread_mutex_lock(&lot->lock);
	lot->begun = lot->ended = 0;
	lot->open = open;
	pthread_mutex_unlock(&lot->lock);
}

static void wait_in_the_lot(void *job)
{
	struct lot *lot = job;

	pthread_mutex_lock(&lot->lock);
	lot->begun++;
	pthread_cond_broadcast(&lot->changed);
	while (!lot->open)
		pthread_cond_wait(&lot->changed, &lot->lock);
	lot->ended++;
	pthread_cond_broadcast(&lot->changed);
	pthread_mutex_unlock(&lot->lock);
}

static void await(struct lot *lot, const unsigned *counter, unsigned wanted)
{
	pthread_mutex_lock(&lot->lock);
	while (*counter < wanted)
		pthread_cond_wait(&lot->changed, &lot->lock);
	pthread_mutex_unlock(&lot->lock);
}

static void open_up(struct lot *lot)
{
	pthread_mutex_lock(&lot->lock);
	lot->open = true;
	pthread_cond_broadcast(&lot->changed);
	pthread_mutex_unlock(&lot->lock);
}

static void one_that_waits_does_not_keep_the_next(void **state)
{
	struct lot *lot = *state;

	reset(lot, false);
	for (unsigned i = 1; i <= 8; i++) {
		assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot), 0);
		await(lot, &lot->begun, i);
	}
	open_up(lot);
	await(lot, &lot->ended, 8);
}

static void all_at_once_are_begun_too(void **state)
{
	struct lot *lot = *state;

	reset(lot, false);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 8);
	open_up(lot);
	await(lot, &lot->ended, 8);
}

static void more_than_fit_are_refused_and_none_is_lost(void **state)
{
	struct lot *lot = *state;
	unsigned parked = 0;
	int r;

	reset(lot, false);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 8);
	while (!(r = parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot)))
		parked++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(parked, 256);
	assert_int_equal(lot->begun, 8);
	open_up(lot);
	await(lot, &lot->ended, 8 + 256);
	/* There is room again. */
	assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot), 0);
	await(lot, &lot->ended, 8 + 256 + 1);
}

struct numbered {
	struct lot *lot;
	unsigned number;
};

static void note_order(void *job)
{
	struct numbered *numbered = job;
	struct lot *lot = numbered->lot;

	pthread_mutex_lock(&lot->lock);
	lot->order[lot->ended++] = numbered->number;
	pthread_cond_broadcast(&lot->changed);
	pthread_mutex_unlock(&lot->lock);
}

/* Seven wait, so one thread takes what comes, in its order. */
static void jobs_are_taken_in_order(void **state)
{
	struct lot *lot = *state;
	struct numbered numbered[200];

	reset(lot, false);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 7);
	for (unsigned i = 0; i < 200; i++) {
		numbered[i] = (struct numbered) { lot, i };
		assert_int_equal(parking_submit(lot->parking, PARKING_BRIEF, note_order, &numbered[i]), 0);
	}
	await(lot, &lot->ended, 200);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(lot->order[i], i);
	open_up(lot);
	await(lot, &lot->ended, 207);
}

enum { ALICE = 1000, BOB };

/* Two of the eight threads for a user, four for root; what waits behind a share is passed over. */
static void nobody_has_all_threads(void **state)
{
	struct lot *lot = *state;

	reset(lot, false);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(parking_submit(lot->parking, ALICE, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 2);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(parking_submit(lot->parking, 0, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 6);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(parking_submit(lot->parking, BOB, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 8);
	open_up(lot);
	await(lot, &lot->ended, 12);
}

static void nobody_has_all_places(void **state)
{
	struct lot *lot = *state;
	unsigned parked = 0;

	reset(lot, false);
	while (!parking_submit(lot->parking, ALICE, wait_in_the_lot, lot))
		parked++;
	await(lot, &lot->begun, 2);
	/* One or two of hers may have been taken before the others came. */
	assert_in_range(parked, 64, 66);
	assert_int_equal(parking_submit(lot->parking, BOB, wait_in_the_lot, lot), 0);
	await(lot, &lot->begun, 3);
	open_up(lot);
	await(lot, &lot->ended, parked + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_waits_does_not_keep_the_next),
		cmocka_unit_test(all_at_once_are_begun_too),
		cmocka_unit_test(more_than_fit_are_refused_and_none_is_lost),
		cmocka_unit_test(jobs_are_taken_in_order),
		cmocka_unit_test(nobody_has_all_threads),
		cmocka_unit_test(nobody_has_all_places),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
