/* SPDX-License-Identifier: MIT */
#include "collector/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
	struct job *first, **last;
};

struct jobs {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t more;
	struct queue waiting, finished;
	bool closing;
	int wake;
	unsigned n_threads;
	pthread_t thread[];
};

static void put(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *take(struct queue *queue)
{
	struct job *job = queue->first;
	if (job) {
		queue->first = job->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return job;
}

static struct job *take_waiting(struct jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	struct job *job = take(&jobs->waiting);
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

static void finish(struct jobs *jobs, struct job *job)
{
	bool first;
	pthread_mutex_lock(&jobs->lock);
	first = !jobs->finished.first;
	put(&jobs->finished, job);
	/* Within the lock: jobs_free closes it behind the last job. */
	if (first)
		eventfd_write(jobs->wake, 1);
	pthread_mutex_unlock(&jobs->lock);
}

static void *thread_main(void *arg)
{
	struct jobs *jobs = arg;
	for (;;) {
		pthread_mutex_lock(&jobs->lock);
		while (!jobs->waiting.first && !jobs->closing)
			pthread_cond_wait(&jobs->more, &jobs->lock);
		struct job *job = jobs->closing ? NULL : take(&jobs->waiting);
		pthread_mutex_unlock(&jobs->lock);
		if (!job)
			return NULL;
		job->work(job);
		finish(jobs, job);
	}
}

int jobs_new(unsigned threads, struct jobs **ret_jobs)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs) + threads * sizeof(jobs->thread[0]));
	if (!jobs)
		return -ENOMEM;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->more, NULL);
	jobs->waiting.last = &jobs->waiting.first;
	jobs->finished.last = &jobs->finished.first;
	jobs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = jobs->wake < 0 ? -errno : 0;

	/* Signals belong to the loop. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && jobs->n_threads < threads) {
		r = -pthread_create(&jobs->thread[jobs->n_threads], NULL, thread_main, jobs);
		if (r == 0)
			jobs->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		jobs_free(jobs);
		return r;
	}
	*ret_jobs = jobs;
	return 0;
}

void jobs_stop(struct jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->closing = true;
	pthread_cond_broadcast(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
	while (jobs->n_threads)
		pthread_join(jobs->thread[--jobs->n_threads], NULL);
	/* What is done may ask for more work, which is then put beside what waits. */
	for (struct job *job; (job = take_waiting(jobs));)
		job->done(job);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	jobs_stop(jobs);
	while (jobs->finished.first || jobs->waiting.first) {
		jobs_dispatch(jobs);
		jobs_stop(jobs);
	}
	if (jobs->wake >= 0)
		close(jobs->wake);
	pthread_cond_destroy(&jobs->more);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

int jobs_fd(const struct jobs *jobs)
{
	return jobs->wake;
}

void jobs_dispatch(struct jobs *jobs)
{
	eventfd_t count;
	eventfd_read(jobs->wake, &count);
	pthread_mutex_lock(&jobs->lock);
	struct job *job = jobs->finished.first;
	jobs->finished.first = NULL;
	jobs->finished.last = &jobs->finished.first;
	pthread_mutex_unlock(&jobs->lock);
	while (job) {
		struct job *next = job->next;
		job->done(job);
		job = next;
	}
}

void jobs_run(struct jobs *jobs, struct job *job)
{
	pthread_mutex_lock(&jobs->lock);
	put(&jobs->waiting, job);
	pthread_cond_signal(&jobs->more);
	pthread_mutex_unlock(&jobs->lock);
}

void jobs_post(struct jobs *jobs, struct job *job)
{
	finish(jobs, job);
}
