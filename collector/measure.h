/* SPDX-License-Identifier: MIT */
/*
 * pss, uss and dirty on request: smaps_rollup walks all pages of a process under its mmap lock, so it is read
 * in a worker thread, at most once a second per process; askers in between share an answer.
 */
#pragma once

#include "collector/control_server.h"
#include "collector/jobs.h"
#include "collector/sample/sampler.h"

struct measure {
	struct sampler *sampler;
	struct jobs *jobs;
	struct measurement *first; /* under way */
};

/* Loop thread. Answers the call, CONTROL_OP_MEASURE, now or later. */
void measure_request(struct measure *measure, struct control_call *call);
