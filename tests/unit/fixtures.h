/* SPDX-License-Identifier: MIT */
/*
 * Texts for the tests of parsers: a file of every fixture, and every beginning of a text. Texts are handed
 * over in blocks of exactly their size, so that ASan sees a parser that reads on. Include cmocka.h before.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/cleanup.h"
#include "schema/metrics.h"
#include "schema/proc/root.h"

/* `where` is "linux-6.18" or "linux-6.18/45". */
typedef void fixture_fn(const char *where, const char *text, size_t len);

static inline void fixture_hand_over(fixture_fn *fn, const char *where, const char *text, size_t len)
{
	char *copy = malloc(len);

	assert_true(copy || !len);
	if (len)
		memcpy(copy, text, len);
	fn(where, copy, len);
	free(copy);
}

/* Calls fn with the text of `file` where the directory `at` has it; returns how often. */
static inline unsigned fixture_visit(int at, const char *file, const char *where, fixture_fn *fn)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	int r = proc_read(at, file, &text);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, PROC_OK);
	fixture_hand_over(fn, where, text.data, text.len);
	return 1;
}

static inline unsigned fixture_visit_pids(
	const struct proc_root *root, const char *machine, const char *file, fixture_fn *fn)
{
	struct proc_pids pids = { 0 };
	unsigned visited = 0;

	assert_int_equal(proc_list_pids(root, &pids), 0);
	for (size_t i = 0; i < pids.n; i++) {
		char where[512];
		int fd;
		snprintf(where, sizeof(where), "%s/%u", machine, pids.pid[i]);
		assert_int_equal(proc_open_pid(root, pids.pid[i], &fd), PROC_OK);
		visited += fixture_visit(fd, file, where, fn);
		close(fd);
	}
	proc_pids_deinit(&pids);
	return visited;
}

/* Visits `file` of all machines, or of all their processes; returns how many there were. */
static inline unsigned fixtures_visit(const char *file, bool of_processes, fixture_fn *fn)
{
	DIR *dir CLEANUP_CLOSEDIR = opendir(FIXTURES);
	const struct dirent *entry;
	unsigned visited = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[1024];
		struct proc_root root;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", FIXTURES, entry->d_name);
		if (proc_root_init(&root, path))
			continue; /* a file beside the machines */
		visited += of_processes ? fixture_visit_pids(&root, entry->d_name, file, fn)
					: fixture_visit(root.proc, file, entry->d_name, fn);
		proc_root_deinit(&root);
	}
	return visited;
}

/* Reads one file of a fixture, "linux-6.18/proc/meminfo", into out. */
static inline void fixture_read(const char *path, struct buf *out)
{
	char full[1024];

	snprintf(full, sizeof(full), "%s/%s", FIXTURES, path);
	assert_int_equal(proc_read(AT_FDCWD, full, out), PROC_OK);
}

/* Calls fn with every beginning of the text, the empty and the whole one too. */
static inline void fixture_tear(const char *where, const char *text, size_t len, fixture_fn *fn)
{
	for (size_t n = 0; n <= len; n++)
		fixture_hand_over(fn, where, text, n);
}

/* What a torn text gives is either what the whole one gives or absent. */
static inline void assert_values_within(uint64_t torn_present, const uint64_t *torn, uint64_t whole_present,
	const uint64_t *whole, unsigned n)
{
	assert_int_equal(torn_present & ~whole_present, 0);
	for (unsigned i = 0; i < n; i++) {
		if (metric_has(torn_present, i))
			assert_int_equal(torn[i], whole[i]);
	}
}
