/* SPDX-License-Identifier: MIT */
/* Who may only read can read: beside a writer, after its close, after its kill -9; and stops no writer. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

#include "schema/store/store.h"
#include "tests/unit/store_world.h"

static void files_are_for_the_group_of_the_directory(void **state)
{
	struct scratch *scratch = *state;
	static const char *const names[] = { STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm" };

	if (geteuid() == 0)
		assert_int_equal(chown(scratch->path, 0, NOBODY), 0);
	mode_t mask = umask(0);
	struct store *store = writer(scratch);
	for (int i = 0; i < 3; i++) {
		char path[128];
		struct stat st, dir;

		scratch_join(scratch, names[i], path, sizeof(path));
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(stat(scratch->path, &dir), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		assert_int_equal(st.st_gid, dir.st_gid);
	}
	umask(mask);
	store_close(store);
}

enum { READ_RIGHT = 0, READ_NO_OPEN = 10, READ_WRONG = 11, READ_NO_RIGHTS = 12 };

/* In a process of another user, whose group alone may read: exits with what it found. */
static int read_as_nobody(const struct scratch *scratch, int expect)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *store;
		char text[20000] = "", wanted[32];

		if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
					      setresuid(NOBODY - 1, NOBODY - 1, NOBODY - 1)))
			_exit(READ_NO_RIGHTS);
		if (store_open_reader(scratch->path, &store, NULL))
			_exit(READ_NO_OPEN);
		if (store_snapshot_begin(store) || store_each_minute(store, 0, 0, 1000, take_minute, text))
			_exit(READ_WRONG);
		sprintf(wanted, " %d=%d ", expect, expect);
		int64_t seq;
		if (!strstr(text, wanted) || store_put_journal(store, 1, "x", 1, &seq) == STORE_OK)
			_exit(READ_WRONG);
		store_snapshot_end(store);
		store_close(store);
		_exit(READ_RIGHT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void prepare_for_nobody(const struct scratch *scratch)
{
	if (geteuid() == 0)
		assert_int_equal(chown(scratch->path, 0, NOBODY), 0);
	assert_int_equal(chmod(scratch->path, 0750), 0);
}

static void a_reader_without_rights_reads_at_any_time(void **state)
{
	struct scratch *scratch = *state;
	struct store *store;

	prepare_for_nobody(scratch);
	store = writer(scratch);
	put_number(store, 0);
	/* At once, with the first rows still in the WAL alone. */
	put_number(store, 1);
	assert_int_equal(read_as_nobody(scratch, 1), READ_RIGHT);
	for (int i = 2; i < 40; i++) {
		put_number(store, i);
		if (i % 10 == 5)
			assert_int_equal(store_shorten_wal(store), STORE_OK);
		assert_int_equal(read_as_nobody(scratch, i), READ_RIGHT);
	}
	store_close(store);
	assert_int_equal(read_as_nobody(scratch, 39), READ_RIGHT);
	store = writer(scratch);
	assert_int_equal(read_as_nobody(scratch, 39), READ_RIGHT);
	put_number(store, 40);
	assert_int_equal(read_as_nobody(scratch, 40), READ_RIGHT);
	store_close(store);
}

/* A writer that tells each number it has committed, until it is killed. */
static pid_t start_writer(const struct scratch *scratch, int from, int *ret_pipe)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *store;

		close(fds[0]);
		if (store_open_writer(scratch->path, &store, NULL))
			_exit(1);
		for (int i = from;; i++) {
			put_number(store, i % 900);
			if (write(fds[1], &i, sizeof(i)) != sizeof(i))
				_exit(1);
		}
	}
	close(fds[1]);
	*ret_pipe = fds[0];
	return pid;
}

static int last_number(int pipe_fd)
{
	int number = -1, last = -1;

	while (read(pipe_fd, &number, sizeof(number)) == sizeof(number))
		last = number;
	return last;
}

static void a_reader_reads_after_a_kill(void **state)
{
	struct scratch *scratch = *state;

	prepare_for_nobody(scratch);
	for (int round = 0; round < 20; round++) {
		int fd, number, status, told = 0;
		pid_t pid = start_writer(scratch, 1 + round, &fd);

		while (told < 5 + round * 7 && read(fd, &number, sizeof(number)) == sizeof(number))
			told++;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && told);
		int last = last_number(fd);
		close(fd);
		if (last < 0)
			last = number;
		assert_int_equal(read_as_nobody(scratch, last % 900), READ_RIGHT);
		if (round % 5 == 4) {
			struct store *store = writer(scratch);
			assert_int_equal(store_check(store, NULL), STORE_OK);
			store_close(store);
		}
	}
}

static void a_long_reader_stops_no_writer(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = writer(scratch), *reader;
	char text[20000] = "";

	put_number(store, 1);
	assert_int_equal(store_open_reader(scratch->path, &reader, NULL), STORE_OK);
	assert_int_equal(store_snapshot_begin(reader), STORE_OK);
	assert_int_equal(store_snapshot_begin(reader), STORE_OK); /* they nest */
	for (int i = 2; i < 500; i++)
		put_number(store, i);
	assert_int_equal(store_shorten_wal(store), STORE_OK);
	assert_int_equal(store_tidy(store), STORE_OK);
	store_snapshot_end(reader);
	assert_int_equal(store_each_minute(reader, 0, 0, 1000, take_minute, text), STORE_OK);
	assert_string_equal(text, "1=1 ");
	store_snapshot_end(reader);
	*text = 0;
	assert_int_equal(store_each_minute(reader, 0, 0, 1000, take_minute, text), STORE_OK);
	assert_non_null(strstr(text, " 499=499 "));
	/* Replaced under it: the next snapshot is of the new one. */
	char name[128];
	store_close(store);
	assert_int_equal(store_set_aside(scratch->path, name, sizeof(name)), 0);
	assert_int_equal(store_snapshot_begin(reader), STORE_ABSENT);
	store = writer(scratch);
	put_number(store, 7);
	assert_int_equal(store_snapshot_begin(reader), STORE_OK);
	*text = 0;
	assert_int_equal(store_each_minute(reader, 0, 0, 1000, take_minute, text), STORE_OK);
	assert_string_equal(text, "7=7 ");
	store_snapshot_end(reader);
	store_close(reader);
	store_close(store);
}

static void a_reader_makes_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct store *reader = NULL;
	struct err err = { 0 };
	char path[128];

	assert_int_equal(store_open_reader(scratch->path, &reader, &err), STORE_ABSENT);
	assert_null(reader);
	assert_true(*err.reason);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(access(path, F_OK), -1);
	close(open(path, O_CREAT | O_WRONLY, 0600)); /* empty: no database yet */
	assert_int_equal(store_open_reader(scratch->path, &reader, NULL), STORE_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_for_the_group_of_the_directory),
		TEST(a_reader_without_rights_reads_at_any_time),
		TEST(a_reader_reads_after_a_kill),
		TEST(a_long_reader_stops_no_writer),
		TEST(a_reader_makes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
