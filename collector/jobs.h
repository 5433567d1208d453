/* SPDX-License-Identifier: MIT */
/*
 * What may take long, away from the loop: a few threads that work, and a queue through which results come
 * home. A job's work runs in one of the threads, its done in the thread that calls jobs_dispatch, in the
 * order of completion.
 */
#pragma once

#include <stddef.h>

struct jobs;
struct job {
	struct job *next;
	void (*work)(struct job *job); /* NULL in jobs_post */
	void (*done)(struct job *job); /* owns the job from there on */
};

int jobs_new(unsigned threads, struct jobs **ret_jobs); /* 0 or -errno */

/*
 * Waits for jobs at work and ends the threads; jobs not yet begun are done without their work having run.
 * jobs_run does the same from then on, jobs_post still works. Takes NULL.
 */
void jobs_stop(struct jobs *jobs);

/* Stops, and does what is left to be done; nobody else may hold the queue any more. Takes NULL. */
void jobs_free(struct jobs *jobs);

/* Readable when jobs_dispatch has something to do. */
int jobs_fd(const struct jobs *jobs);
void jobs_dispatch(struct jobs *jobs);

/* Any thread. jobs_run: work, then done. jobs_post: done alone. */
void jobs_run(struct jobs *jobs, struct job *job);
void jobs_post(struct jobs *jobs, struct job *job);
