/* SPDX-License-Identifier: MIT */
/*
 * The collector's one loop: ticks by a timer, births by the proc connector, requests by the control server,
 * results of worker threads, signals. It alone touches the table of processes and writes the board. No source
 * is let to starve the others: each is given a bounded piece of work per turn, the timer first.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "schema/board.h"
#include "schema/proc/root.h"

struct loop_options {
	const char *state_dir; /* locked by the caller */
	const struct proc_root *root;
	struct board *board;
	int control_fd;        /* a listening socket; -1: none */
	int offers_fd;         /* where processes offer their shadow regions; -1: nowhere */
	int holder_fd;         /* the link to who holds them; -1: nobody */
	int ready_fd;          /* a byte is written once the first tick is published; -1: none */
	uid_t server_uid;      /* whose requests are believed */
	struct settings fixed; /* by options, for this run; 0: not */
	int sweep;             /* enum board_sweep; -1: by BPF where it works */
};

/* Runs until SIGTERM or SIGINT. 0 or -errno; says why in the log. */
int loop_run(const struct loop_options *options);
