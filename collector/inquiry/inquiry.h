/* SPDX-License-Identifier: MIT */
/*
 * Inquiries into a process that take its mmap lock: asked in worker threads, for a process can keep that lock
 * for ever, and the worker with it. So no owner's processes have more than a share of the workers; further
 * inquiries into them wait until one ends, or until nobody waits for them any more.
 */
#pragma once

#include "collector/control/control_server.h"
#include "collector/jobs.h"
#include "collector/sample/sampler.h"
#include "schema/base/err.h"

enum {
	INQUIRY_WORKERS = 16,
	INQUIRY_WORKERS_OF_ONE = 4, /* for the processes of one owner */
	INQUIRIES_KEPT = 64,        /* answers that are given once more */
};

struct inquiry;
struct inquiry_kind {
	size_t size; /* of the struct that begins with the inquiry */
	/*
	 * In a worker: finds out, given the process's directory, which is that of (pid, start_ticks), and
	 * where its memory can be read (proc_open_living_thread). PROC_OK, PROC_GONE, or -errno with the
	 * reason in inquiry->err.
	 */
	int (*work)(struct inquiry *inquiry, int dir, int living);
	/* Loop thread: answers one who asked, after PROC_OK. */
	void (*answer)(const struct inquiry *inquiry, struct control_call *call);
	/* Loop thread, before the answers, after PROC_OK; may be NULL. */
	void (*learn)(struct inquiry *inquiry);
	void (*deinit)(struct inquiry *inquiry); /* may be NULL */
	/* Whether who asks the same meanwhile has a part in the answer, and for how long after it. */
	bool shared;
	int64_t keep_ns;
	/* The worker may answer the one call itself, piece by piece: while it runs nobody else does. answer
	 * is called all the same, after PROC_OK. */
	bool streams;
};

struct inquiry {
	struct job job;
	const struct inquiry_kind *kind;
	struct inquiries *inquiries;
	struct inquiry *next;
	const void *subject; /* what of the process, among inquiries of a kind */
	uint32_t pid;
	uint64_t start_ticks;
	int outcome; /* of work */
	struct err err;
	/* The loop's; the rest is the worker's until done. */
	struct control_call **calls;
	size_t n_calls;
	uint32_t owner;
	enum { INQUIRY_WAITS, INQUIRY_RUNS, INQUIRY_KEPT } state;
	int64_t done_ns; /* CLOCK_MONOTONIC */
};

struct inquiries {
	struct sampler *sampler;
	struct jobs *jobs;     /* nobody else's, with INQUIRY_WORKERS */
	struct inquiry *first; /* the newest first */
	unsigned n_running, n_kept;
};

/*
 * Loop thread. Answers the call now or later: joins an inquiry of the kind into the same subject of the same
 * process, or makes one, which the caller then completes, or NULL where nothing is left to do.
 */
struct inquiry *inquiries_begin(struct inquiries *inquiries, const struct inquiry_kind *kind,
	const void *subject, struct control_call *call);

/* Loop thread. Hands a new inquiry to the workers. */
void inquiries_run(struct inquiries *inquiries, struct inquiry *inquiry);

/* Loop thread. Answers the calls that nobody waits for any more, for what they wait for may never come; drops
 * answers that are old. */
void inquiries_tidy(struct inquiries *inquiries);

/* Frees the answers that are kept; no inquiry may be under way. */
void inquiries_deinit(struct inquiries *inquiries);
