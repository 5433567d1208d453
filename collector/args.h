/* SPDX-License-Identifier: MIT */
/*
 * The command lines of processes, read once for each program they run, for when they have ended. Reading one
 * takes the process's mmap lock, which it can keep for ever: so a worker does it, after the process has lived
 * to a tick, for the shortest are many. While the worker is held up, nobody's are read.
 */
#pragma once

#include "collector/jobs.h"
#include "collector/sample/sampler.h"

struct args_reader {
	struct sampler *sampler;
	struct jobs *jobs; /* nobody else's, with one thread */
	bool busy;
};

/* After a tick, in the loop's thread: has the lines of those read that are new since the one before. */
void args_read_new(struct args_reader *reader);
