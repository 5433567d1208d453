/* SPDX-License-Identifier: MIT */
/*
 * Programs made for the occasion, of tests/programs/symbols-subject.*, which say where they are. Include
 * cmocka.h before.
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/symbols/symbols.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/proc/root.h"
#include "tests/unit/scratch.h"

enum { PLACES_MAX = 64, NOBODY = 65534 };

/* One at most is there at a time. */
struct subject {
	pid_t pid;
	int dir; /* /proc/PID */
	FILE *out;
	int in;
	unsigned n;
	struct told {
		uint64_t address; /* a return address */
		char function[200], into[64];
		unsigned line;
	} told[PLACES_MAX];
};

static inline int64_t within_s(int64_t seconds)
{
	return clock_monotonic_ns() + seconds * 1000000000;
}

static inline struct symbols *symbols_make(struct symbols_options options)
{
	struct symbols *symbols;

	options.program = SYMBOLS;
	options.uid = options.gid = NOBODY;
	assert_int_equal(symbols_new(&options, &symbols), 0);
	return symbols;
}

/* Runs a shell command in the directory; $P is where tests/programs is. */
static inline void world_run(const struct scratch *scratch, const char *command)
{
	char line[4096];

	snprintf(line, sizeof(line), "cd %s && P=%s/../programs && %s", scratch->path, FIXTURES, command);
	if (system(line))
		fail_msg("%s", line);
}

static inline void subject_start(struct subject *subject, const struct scratch *scratch, const char *program,
	const char *first, const char *second)
{
	char path[256], dir[32];
	int in[2], out[2];

	memset(subject, 0, sizeof(*subject));
	scratch_join(scratch, program, path, sizeof(path));
	assert_int_equal(pipe(in) | pipe(out), 0);
	subject->pid = fork();
	if (subject->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(path, path, first, second, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	subject->in = in[1];
	subject->out = fdopen(out[0], "r");
	snprintf(dir, sizeof(dir), "/proc/%d", subject->pid);
	struct proc_root root;
	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_open_pid(&root, (uint32_t)subject->pid, &subject->dir), PROC_OK);
	proc_root_deinit(&root);
}

static inline void subject_listen(struct subject *subject)
{
	char line[512];

	while (fgets(line, sizeof(line), subject->out) && line[0] != '.') {
		struct told *told = &subject->told[subject->n++];
		assert_true(subject->n <= PLACES_MAX);
		assert_int_equal(sscanf(line, "%lx %199s %u %63s", &told->address, told->function,
					 &told->line, told->into),
			4);
		for (char *c = told->function; *c; c++)
			*c = *c == '~' ? ' ' : *c;
	}
	assert_true(line[0] == '.');
}

static inline void subject_end(struct subject *subject)
{
	kill(subject->pid, SIGKILL);
	waitpid(subject->pid, NULL, 0);
	fclose(subject->out);
	close(subject->in);
	close(subject->dir);
}

static inline struct symbol *resolve_one(
	struct symbols *symbols, const struct module_table *table, uint64_t return_address)
{
	struct module_place place = module_table_place(table, return_address);
	struct symbol *symbol = NULL;

	symbols_resolve(symbols, &place, 1, within_s(60), &symbol);
	return symbol;
}
