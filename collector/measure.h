/* SPDX-License-Identifier: MIT */
/*
 * pss, uss and dirty on request: smaps_rollup walks all pages of a process under its mmap lock, so it is read
 * in a worker thread, at most once a second per process; askers in between share an answer. A process can
 * keep that lock for ever, and the worker with it: so no owner's processes have more than a share of the
 * workers.
 */
#pragma once

#include "collector/control_server.h"
#include "collector/jobs.h"
#include "collector/sample/sampler.h"

enum {
	MEASURE_WORKERS = 16,
	MEASURE_WORKERS_OF_ONE = 4, /* for the processes of one owner */
};

struct measure {
	struct sampler *sampler;
	struct jobs *jobs;         /* nobody else's, with MEASURE_WORKERS */
	struct measurement *first; /* under way or waiting, the newest first */
	unsigned n_running;
};

/* Loop thread. Answers the call, CONTROL_OP_MEASURE, now or later. */
void measure_request(struct measure *measure, struct control_call *call);

/* Loop thread. Answers the calls that nobody waits for any more, for what they wait for may never come. */
void measure_tidy(struct measure *measure);
