/* SPDX-License-Identifier: MIT */
#include "fs/fuse/parking.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, JOBS = 256 };

struct parked {
	parking_fn *fn;
	void *job;
	uint32_t uid;
};

struct parking {
	pthread_mutex_t lock;
	pthread_cond_t work;
	unsigned n_threads, n_idle;
	unsigned n_running, n;
	uint32_t running[THREADS]; /* for whom */
	struct parked job[JOBS];   /* those that wait, the oldest first */
};

int parking_new(struct parking **ret)
{
	struct parking *parking = calloc(1, sizeof(*parking));

	if (!parking)
		return -ENOMEM;
	pthread_mutex_init(&parking->lock, NULL);
	pthread_cond_init(&parking->work, NULL);
	*ret = parking;
	return 0;
}

/* What of n threads, or places, one user may have: root more than others, nobody all. */
static unsigned share(uint32_t uid, unsigned n)
{
	return uid == PARKING_BRIEF ? n : uid ? n / 4 : n / 2;
}

static bool may_run(const struct parking *parking, uint32_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < parking->n_running; i++)
		n += parking->running[i] == uid;
	return n < share(uid, THREADS);
}

static bool may_wait(const struct parking *parking, uint32_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < parking->n; i++)
		n += parking->job[i].uid == uid;
	return parking->n < JOBS && n < share(uid, JOBS);
}

/* The oldest of those whose user has a thread left. The lock is held. */
static bool take(struct parking *parking, struct parked *ret)
{
	for (unsigned i = 0; i < parking->n; i++) {
		struct parked *job = &parking->job[i];
		if (!may_run(parking, job->uid))
			continue;
		*ret = *job;
		memmove(job, job + 1, (--parking->n - i) * sizeof(*job));
		return true;
	}
	return false;
}

static void *work(void *ctx)
{
	struct parking *parking = ctx;
	struct parked it;

	pthread_mutex_lock(&parking->lock);
	for (;;) {
		while (!take(parking, &it)) {
			parking->n_idle++;
			pthread_cond_wait(&parking->work, &parking->lock);
			parking->n_idle--;
		}
		parking->running[parking->n_running++] = it.uid;
		pthread_mutex_unlock(&parking->lock);
		it.fn(it.job);
		pthread_mutex_lock(&parking->lock);
		for (unsigned i = 0; i < parking->n_running; i++) {
			if (parking->running[i] != it.uid)
				continue;
			parking->running[i] = parking->running[--parking->n_running];
			break;
		}
		/* One of this user's may run now, and one that waits longer is what this thread takes. */
		if (parking->n)
			pthread_cond_signal(&parking->work);
	}
	return NULL;
}

int parking_submit(struct parking *parking, uint32_t uid, parking_fn *fn, void *job)
{
	int r = 0;

	pthread_mutex_lock(&parking->lock);
	if (!may_wait(parking, uid)) {
		r = -EAGAIN;
	} else {
		parking->job[parking->n++] = (struct parked) { fn, job, uid };
		if (parking->n > parking->n_idle && parking->n_threads < THREADS) {
			pthread_t thread;
			if (!pthread_create(&thread, NULL, work, parking)) {
				pthread_detach(thread);
				parking->n_threads++;
			}
		}
		if (!parking->n_threads) {
			parking->n--;
			r = -EAGAIN;
		}
		pthread_cond_signal(&parking->work);
	}
	pthread_mutex_unlock(&parking->lock);
	return r;
}
