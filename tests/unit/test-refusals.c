/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "fs/refusals.h"
#include "tests/unit/fs_world.h"

struct bench {
	struct world world;
	struct refusals *refusals;
};

static struct bench begin(void)
{
	struct bench bench = { 0 };

	world_keep(&bench.world);
	assert_int_equal(refusals_new(bench.world.keep, &bench.refusals), 0);
	return bench;
}

static void end(struct bench *bench)
{
	refusals_free(bench->refusals);
	world_deinit(&bench->world);
}

static struct caller caller(uid_t uid)
{
	return (struct caller) { uid, uid, getpid() };
}

static void add_by(struct bench *bench, const struct caller *who, const char *path, const char *written)
{
	struct err err = { 0 };

	err_set(&err, EINVAL, "no good");
	refusals_add(bench->refusals, who, path, written, strlen(written), &err);
}

static void add(struct bench *bench, uid_t uid, const char *path, const char *written)
{
	struct caller who = caller(uid);
	add_by(bench, &who, path, written);
}

typedef void render_fn(struct refusals *refusals, const struct caller *reader, struct buf *out);

/* The caller frees. */
static char *text_of(struct bench *bench, render_fn *render, const struct caller *reader)
{
	struct buf text = BUF_INIT;

	render(bench->refusals, reader, &text);
	buf_putc(&text, 0);
	assert_int_equal(buf_error(&text), 0);
	return text.data;
}

static char *table_of(struct bench *bench, uid_t uid)
{
	struct caller reader = caller(uid);
	return text_of(bench, refusals_render, &reader);
}

static char *why_of(struct bench *bench, uid_t uid)
{
	struct caller reader = caller(uid);
	return text_of(bench, refusals_render_why, &reader);
}

static unsigned count(const char *text, char c)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

static void root_sees_all_others_their_own(void **state)
{
	struct bench bench = begin();

	add(&bench, 0, "nodes/n/config", "a");
	add(&bench, 1000, "nodes/n/other", "b");
	add(&bench, 1001, "nodes/n/third", "c");
	CLEANUP_FREE char *all = table_of(&bench, 0), *one = table_of(&bench, 1000),
			  *none = table_of(&bench, 1002);
	assert_int_equal(count(all, '\n'), 4);
	assert_int_equal(count(all, '\t'), 4 * 5);
	assert_non_null(strstr(all, "time\tuid\tpid\tpath\terrno\treason\n"));
	char row[100];
	snprintf(row, sizeof(row), "\t1001\t%d\tnodes/n/third\tEINVAL\tno good\n", (int)getpid());
	assert_non_null(strstr(all, row));
	assert_int_equal(count(one, '\n'), 2);
	assert_non_null(strstr(one, "nodes/n/other"));
	assert_string_equal(none, "time\tuid\tpid\tpath\terrno\treason\n");
	end(&bench);
}

static void why_is_the_last_of_ones_own_session(void **state)
{
	struct bench bench = begin();
	CLEANUP_FREE char *before = why_of(&bench, 0);

	assert_string_equal(before, "");
	add(&bench, 1000, "first", "1\n");
	add(&bench, 1000, "second", "2\n\n");
	CLEANUP_FREE char *why = why_of(&bench, 1000);
	assert_non_null(strstr(why, "\npath second\nwritten 2\\012\nerrno EINVAL\nreason no good\n"));
	assert_int_equal(strncmp(why, "time ", 5), 0);
	assert_int_equal(count(why, '\n'), 5);
	/* Another user in the same session is not told; root is. */
	CLEANUP_FREE char *other = why_of(&bench, 1001), *root = why_of(&bench, 0);
	assert_string_equal(other, "");
	assert_string_equal(root, why);
	end(&bench);
}

static void why_of_another_session_is_not_told(void **state)
{
	struct bench bench = begin();
	int ends[2];
	char byte;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		setsid();
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	struct caller theirs = { 1000, 1000, child };
	add_by(&bench, &theirs, "theirs", "x");
	CLEANUP_FREE char *ours = why_of(&bench, 1000);
	assert_string_equal(ours, "");
	CLEANUP_FREE char *why = text_of(&bench, refusals_render_why, &theirs);
	assert_non_null(strstr(why, "\npath theirs\n"));
	/* A session that is known by number still, after its process ended. */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	CLEANUP_FREE char *after = text_of(&bench, refusals_render_why, &theirs);
	assert_string_equal(after, "");
	end(&bench);
}

/* Whom the mount cannot see has pid 0, and no session in common with anybody. */
static void why_of_nobody_is_nothing(void **state)
{
	struct bench bench = begin();
	struct caller unseen = { 1000, 1000, 0 };

	add_by(&bench, &unseen, "path", "x");
	CLEANUP_FREE char *why = text_of(&bench, refusals_render_why, &unseen), *ours = why_of(&bench, 1000),
			  *table = table_of(&bench, 1000);
	assert_string_equal(why, "");
	assert_string_equal(ours, "");
	assert_int_equal(count(table, '\n'), 2);
	end(&bench);
}

static void what_was_written_is_escaped_and_cut(void **state)
{
	struct bench bench = begin();
	char path[1000], written[1000];

	add(&bench, 0, "a\tb\nc\\\x01", "x\ty\n\n");
	CLEANUP_FREE char *why = why_of(&bench, 0);
	assert_non_null(strstr(why, "\npath a\\011b\\012c\\134\\001\nwritten x\\011y\\012\n"));
	/* Cut between escapes, never within one. */
	memset(path, '\n', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	memset(written, 0, sizeof(written));
	struct caller who = caller(0);
	struct err err = { 0 };
	err_set(&err, EINVAL, "%0199d", 7);
	refusals_add(bench.refusals, &who, path, written, sizeof(written), &err);
	CLEANUP_FREE char *cut = why_of(&bench, 0), *table = table_of(&bench, 0);
	assert_int_equal(count(cut, '\n'), 5);
	char *end_of_path = strstr(cut, "\nwritten ");
	assert_non_null(end_of_path);
	assert_int_equal(strncmp(end_of_path - 4, "\\012", 4), 0);
	char *end_of_written = strstr(cut, "\nerrno ");
	assert_non_null(end_of_written);
	assert_int_equal(strncmp(end_of_written - 4, "\\000", 4), 0);
	assert_true(end_of_path - strstr(cut, "path ") > 200);
	assert_int_equal(count(table, '\n'), 3);
	assert_int_equal(count(table, '\t'), 3 * 5);
	end(&bench);
}

static void the_last_hundred_over_many_turns(void **state)
{
	struct bench bench = begin();
	char path[32];

	for (unsigned i = 1; i <= 3 * KEEP_REFUSALS + 5; i++) {
		snprintf(path, sizeof(path), "path-%u-", i);
		add(&bench, 0, path, "x");
		if (i % 50 && i > 10)
			continue;
		CLEANUP_FREE char *table = table_of(&bench, 0), *why = why_of(&bench, 0);
		assert_int_equal(count(table, '\n'), 1 + (i < 100 ? i : 100));
		assert_non_null(strstr(table, path));
		assert_non_null(strstr(why, path));
		snprintf(path, sizeof(path), "\tpath-%u-\t", i > 100 ? i - 100 : 0);
		assert_null(strstr(table, path));
		snprintf(path, sizeof(path), "\tpath-%u-\t", i > 100 ? i - 99 : 1);
		assert_non_null(strstr(table, path));
	}
	end(&bench);
}

static void the_next_serve_knows_them(void **state)
{
	struct bench bench = begin();

	add(&bench, 0, "kept", "x");
	refusals_free(bench.refusals);
	world_map_again(&bench.world);
	assert_int_equal(refusals_new(bench.world.keep, &bench.refusals), 0);
	add(&bench, 0, "new", "x");
	CLEANUP_FREE char *table = table_of(&bench, 0);
	assert_non_null(strstr(table, "\tkept\t"));
	assert_non_null(strstr(table, "\tnew\t"));
	end(&bench);
}

/* No NUL anywhere, a count of anything: no byte of a neighbour is shown. */
static void scribbled_ones_are_shown_within_their_bounds(void **state)
{
	static const uint64_t counts[] = { 1, 50, KEEP_REFUSALS, UINT64_MAX, UINT64_MAX / 2 };
	struct bench bench = begin();

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		memset(bench.world.keep->refusal, 'x', sizeof(bench.world.keep->refusal));
		bench.world.keep->n_refusals = counts[i];
		CLEANUP_FREE char *table = table_of(&bench, 0), *why = why_of(&bench, 0);
		assert_true(strlen(table) < 100 * (256 + 200 + 100));
		assert_string_equal(why, "");
		add(&bench, 0, "real", "x");
	}
	end(&bench);
}

static void *refuse_and_look(void *ctx)
{
	struct bench *bench = ctx;

	for (int i = 0; i < 300; i++) {
		add(bench, 5, "path", "written");
		CLEANUP_FREE char *table = table_of(bench, 5);
		if (count(table, '\t') != 5 * count(table, '\n'))
			return bench;
	}
	return NULL;
}

static void threads_see_whole_rows(void **state)
{
	struct bench bench = begin();
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, refuse_and_look, &bench), 0);
	for (int i = 0; i < 4; i++) {
		void *result;
		pthread_join(thread[i], &result);
		assert_null(result);
	}
	assert_int_equal(bench.world.keep->n_refusals, 1200);
	end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_sees_all_others_their_own),
		cmocka_unit_test(why_is_the_last_of_ones_own_session),
		cmocka_unit_test(why_of_another_session_is_not_told),
		cmocka_unit_test(why_of_nobody_is_nothing),
		cmocka_unit_test(what_was_written_is_escaped_and_cut),
		cmocka_unit_test(the_last_hundred_over_many_turns),
		cmocka_unit_test(the_next_serve_knows_them),
		cmocka_unit_test(scribbled_ones_are_shown_within_their_bounds),
		cmocka_unit_test(threads_see_whole_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
