/* SPDX-License-Identifier: MIT */
#include "fs/parking.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 8, JOBS = 256 };

struct parking {
	pthread_mutex_t lock;
	pthread_cond_t work;
	unsigned n_threads, n_idle;
	unsigned first, n;
	struct {
		parking_fn *fn;
		void *job;
	} job[JOBS];
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

static void *work(void *ctx)
{
	struct parking *parking = ctx;

	pthread_mutex_lock(&parking->lock);
	for (;;) {
		while (!parking->n) {
			parking->n_idle++;
			pthread_cond_wait(&parking->work, &parking->lock);
			parking->n_idle--;
		}
		parking_fn *fn = parking->job[parking->first].fn;
		void *job = parking->job[parking->first].job;
		parking->first = (parking->first + 1) % JOBS;
		parking->n--;
		pthread_mutex_unlock(&parking->lock);
		fn(job);
		pthread_mutex_lock(&parking->lock);
	}
	return NULL;
}

int parking_submit(struct parking *parking, parking_fn *fn, void *job)
{
	int r = 0;

	pthread_mutex_lock(&parking->lock);
	if (parking->n == JOBS) {
		r = -EAGAIN;
	} else {
		unsigned at = (parking->first + parking->n++) % JOBS;
		parking->job[at].fn = fn;
		parking->job[at].job = job;
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
