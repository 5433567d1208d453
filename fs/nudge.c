/* SPDX-License-Identifier: MIT */
#include "fs/nudge.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fs/control_client.h"
#include "schema/base/cleanup.h"

enum { WAITING_MAX = 64, ASK_MS = 2000 };

struct waiting {
	uint32_t pid;
	uint64_t start_ticks;
};

struct nudges {
	struct control_client *control;
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	bool stop;
	unsigned n;
	struct waiting waiting[WAITING_MAX];
};

static void ask(struct nudges *nudges, struct waiting waiting)
{
	struct control_reply reply = CONTROL_REPLY_INIT;
	const struct control_ask ask = {
		.op = CONTROL_OP_LEAK_COUNT,
		.pid = waiting.pid,
		.start_ticks = waiting.start_ticks,
		.idempotent = true,
	};

	/* Where no collector runs there is nobody who could count. */
	control_client_call(nudges->control, &ask, &reply, ASK_MS, NULL);
	control_reply_deinit(&reply);
}

static void *run(void *ctx)
{
	struct nudges *nudges = ctx;

	pthread_mutex_lock(&nudges->lock);
	for (;;) {
		while (!nudges->n && !nudges->stop)
			pthread_cond_wait(&nudges->more, &nudges->lock);
		if (nudges->stop)
			break;
		struct waiting waiting = nudges->waiting[--nudges->n];
		pthread_mutex_unlock(&nudges->lock);
		ask(nudges, waiting);
		pthread_mutex_lock(&nudges->lock);
	}
	pthread_mutex_unlock(&nudges->lock);
	return NULL;
}

int nudges_new(struct control_client *control, struct nudges **ret_nudges)
{
	CLEANUP_FREE struct nudges *nudges = calloc(1, sizeof(*nudges));
	sigset_t all, old;

	if (!nudges)
		return -ENOMEM;
	nudges->control = control;
	pthread_mutex_init(&nudges->lock, NULL);
	pthread_cond_init(&nudges->more, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = -pthread_create(&nudges->thread, NULL, run, nudges);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!r)
		*ret_nudges = steal_ptr(nudges);
	return r;
}

void nudges_free(struct nudges *nudges)
{
	if (!nudges)
		return;
	pthread_mutex_lock(&nudges->lock);
	nudges->stop = true;
	pthread_cond_signal(&nudges->more);
	pthread_mutex_unlock(&nudges->lock);
	pthread_join(nudges->thread, NULL);
	pthread_cond_destroy(&nudges->more);
	pthread_mutex_destroy(&nudges->lock);
	free(nudges);
}

void nudge(struct nudges *nudges, uint32_t pid, uint64_t start_ticks)
{
	bool there = false;

	pthread_mutex_lock(&nudges->lock);
	for (unsigned i = 0; i < nudges->n; i++)
		there = there ||
			(nudges->waiting[i].pid == pid && nudges->waiting[i].start_ticks == start_ticks);
	if (!there && nudges->n < WAITING_MAX) {
		nudges->waiting[nudges->n++] = (struct waiting) { pid, start_ticks };
		pthread_cond_signal(&nudges->more);
	}
	pthread_mutex_unlock(&nudges->lock);
}
