/* SPDX-License-Identifier: MIT */
/* The database: its rules for writers and readers, what it does with damage and with a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "schema/store.h"
#include "tests/unit/scratch.h"

enum { NOBODY = 65534 };

static int setup(void **state)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	*state = scratch;
	return scratch_make(scratch);
}

static int teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

static struct store *writer(const struct scratch *scratch)
{
	struct store *store = NULL;
	struct err err = { 0 };
	int r = store_open_writer(scratch->path, &store, &err);

	if (r)
		print_error("%s\n", err.reason);
	assert_int_equal(r, STORE_OK);
	return store;
}

static int64_t put_process(struct store *store, int64_t boot, uint32_t pid, uint64_t start, const char *comm)
{
	struct store_subject subject = {
		.boot = boot, .pid = pid, .uid = 7, .start_ticks = start, .start_s = 1000, .comm = comm
	};
	int64_t id = 0;

	assert_int_equal(store_put_subject(store, &subject, &id), STORE_OK);
	return id;
}

static int take_minute(void *ctx, int64_t minute, const void *blob, size_t len)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%d=%.*s ", (int)minute, (int)len, (const char *)blob);
	return 0;
}

static int take_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%d:%d=%.*s ", (int)seq, (int)(time_ns / 1000000000), (int)len,
		(const char *)blob);
	return 0;
}

static int take_subject(void *ctx, const struct store_subject *subject)
{
	sprintf(ctx, "%u/%u/%d/%s", subject->pid, subject->uid, (int)subject->end_s, subject->comm);
	return 0;
}

static int stop_at_once(void *ctx, int64_t minute, const void *blob, size_t len)
{
	return 42;
}

static void rows_come_back(void **state)
{
	struct store *store = writer(*state);
	char text[400] = "";
	int64_t boot, other, id, found, seq, time_ns;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_boot(store, "aaaa", 500, &boot), STORE_OK);
	id = put_process(store, boot, 10, 99, "sh");
	assert_int_equal(put_process(store, boot, 10, 99, "bash"), id); /* the same process */
	assert_int_not_equal(put_process(store, boot, 10, 100, "sh"), id);
	assert_int_equal(store_put_minute(store, id, 5, "five", 4), STORE_OK);
	assert_int_equal(store_put_minute(store, id, 3, "three", 5), STORE_OK);
	assert_int_equal(store_put_minute(store, id, 5, "FIVE", 4), STORE_OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(store_put_journal(store, (i * 40 + 100) * INT64_C(1000000000), "t", 1, &seq),
			STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);

	assert_int_equal(store_each_minute(store, id, 0, 4, take_minute, text), STORE_OK);
	assert_string_equal(text, "3=three ");
	assert_int_equal(store_each_minute(store, id, 4, 9, take_minute, text), STORE_OK);
	assert_string_equal(text, "3=three 5=FIVE ");
	assert_int_equal(store_each_minute(store, id, 0, 9, stop_at_once, NULL), 42);
	*text = 0;
	assert_int_equal(store_each_journal(store, 2, 2, INT64_MAX, take_tick, text), STORE_OK);
	assert_string_equal(text, "2:140=t ");
	*text = 0;
	assert_int_equal(store_each_journal(store, 1, 3, 3, take_tick, text), STORE_OK);
	assert_string_equal(text, "1:100=t 2:140=t 3:180=t ");
	assert_int_equal(store_delete_journal(store, 3, 3), STORE_OK);
	*text = 0;
	assert_int_equal(
		store_each_journal(store, INT64_MIN, INT64_MAX, INT64_MAX, take_tick, text), STORE_OK);
	assert_string_equal(text, "1:100=t 2:140=t 4:220=t ");
	assert_int_equal(store_oldest_journal(store, &seq, &time_ns), STORE_OK);
	assert_int_equal(seq, 1);
	assert_int_equal(store_newest_journal(store, &seq, &time_ns), STORE_OK);
	assert_int_equal(seq, 4);

	assert_int_equal(store_find_subject(store, 10, 99, &found), STORE_OK);
	assert_int_equal(found, id);
	assert_int_equal(store_find_subject(store, 10, 98, &found), STORE_ABSENT);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "10/7/0/bash");
	assert_int_equal(store_get_subject(store, 12345, take_subject, text), STORE_ABSENT);
	/* A new boot: the old one's processes are found no more, and have ended. */
	assert_int_equal(store_put_boot(store, "bbbb", 2000, &other), STORE_OK);
	assert_int_equal(store_find_subject(store, 10, 99, &found), STORE_ABSENT);
	assert_int_equal(store_get_subject(store, id, take_subject, text), STORE_OK);
	assert_string_equal(text, "10/7/2000/bash");
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static void what_was_rolled_back_is_not_there(void **state)
{
	struct store *store = writer(*state);
	int64_t seq, time_ns;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_journal(store, 1, "t", 1, &seq), STORE_OK);
	store_rollback(store);
	assert_int_equal(store_newest_journal(store, &seq, &time_ns), STORE_ABSENT);
	store_rollback(store); /* without one: nothing happens */
	store_close(store);
}

static void the_check_finds_what_it_names(void **state)
{
	struct store *store = writer(*state);
	struct err err = { 0 };

	assert_int_equal(store_check(store, &err), STORE_OK);
	assert_int_equal(store_put_minute(store, 77, 1, "x", 1), STORE_OK);
	assert_int_equal(store_check(store, &err), STORE_DAMAGED);
	assert_non_null(strstr(err.reason, "minute_of_nobody: 77"));
	store_close(store);
}

static void one_writer_at_a_time(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = writer(scratch), *second = NULL;
	struct err err = { 0 };

	assert_int_equal(store_open_writer(scratch->path, &second, &err), STORE_BUSY);
	assert_null(second);
	assert_non_null(strstr(err.reason, "another writer"));
	store_close(store);
	store_close(writer(scratch));
}

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

/* --- a reader that may write nothing --- */

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

static void put_number(struct store *store, int number)
{
	char text[16];

	sprintf(text, "%d", number);
	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_minute(store, 0, number, text, strlen(text)), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
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

/* --- damage --- */

static void overwrite(const struct scratch *scratch, off_t at, const void *bytes, size_t n)
{
	char path[128];

	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void fill(const struct scratch *scratch, bool crash)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store *store;
		char blob[300];

		memset(blob, 'b', sizeof(blob));
		if (store_open_writer(scratch->path, &store, NULL) || store_begin(store))
			_exit(1);
		for (int i = 0; i < 2000; i++) {
			if (store_put_minute(store, 0, i, blob, sizeof(blob)))
				_exit(1);
		}
		if (store_commit(store) || store_shorten_wal(store))
			_exit(1);
		if (!crash)
			store_close(store);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_is_no_database_is_damaged(void **state)
{
	struct scratch *scratch = *state;
	char noise[8192], name[128], path[256];
	struct store *store;
	struct err err = { 0 };

	memset(noise, 'n', sizeof(noise));
	overwrite(scratch, 0, noise, sizeof(noise));
	assert_int_equal(store_open_writer(scratch->path, &store, &err), STORE_DAMAGED);
	assert_non_null(strstr(err.reason, "damaged"));
	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_DAMAGED);
	/* Aside it goes as it was, twice within a second too. */
	for (int i = 0; i < 2; i++) {
		struct stat st;

		overwrite(scratch, 0, noise, sizeof(noise));
		assert_int_equal(store_set_aside(scratch->path, name, sizeof(name)), 0);
		assert_int_equal(strncmp(name, STORE_FILE ".damaged-", strlen(STORE_FILE ".damaged-")), 0);
		scratch_join(scratch, name, path, sizeof(path));
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, sizeof(noise));
	}
	store_close(writer(scratch));
}

static void random_bytes_are_found_after_a_crash(void **state)
{
	struct scratch *scratch = *state;
	unsigned char noise[4096];
	struct store *store;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)(i * 7919 >> 3);
	fill(scratch, true);
	/* In the middle of the packed minutes, where no open would look. */
	overwrite(scratch, 100 * 4096, noise, sizeof(noise));
	assert_int_equal(store_open_writer(scratch->path, &store, NULL), STORE_DAMAGED);
}

static int count_minutes(void *ctx, int64_t minute, const void *blob, size_t len)
{
	++*(int *)ctx;
	return 0;
}

static void random_bytes_are_found_when_they_are_read(void **state)
{
	struct scratch *scratch = *state;
	unsigned char noise[4096] = { 0x77, 0x66 };
	int n = 0;

	fill(scratch, false);
	for (int page = 30; page < 120; page++)
		overwrite(scratch, page * 4096, noise, sizeof(noise));
	struct store *store = writer(scratch); /* closed in order: not looked through */
	assert_int_equal(store_each_minute(store, 0, 0, 5000, count_minutes, &n), STORE_DAMAGED);
	store_close(store);
}

static void a_cut_file_is_damaged(void **state)
{
	struct scratch *scratch = *state;
	char path[128];
	struct store *store = NULL;
	int n = 0, r;

	fill(scratch, true);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(truncate(path, 50 * 4096), 0);
	r = store_open_writer(scratch->path, &store, NULL);
	if (!r)
		r = store_each_minute(store, 0, 0, 5000, count_minutes, &n);
	assert_int_equal(r, STORE_DAMAGED);
	store_close(store);
}

static void a_newer_one_is_left_alone(void **state)
{
	struct scratch *scratch = *state;
	struct store *store;
	/* user_version stands at byte 60 of a database. */
	const unsigned char version[4] = { 0, 0, 0, STORE_VERSION + 1 };

	store_close(writer(scratch));
	overwrite(scratch, 60, version, sizeof(version));
	assert_int_equal(store_open_writer(scratch->path, &store, NULL), STORE_NEWER);
	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_NEWER);
}

static void anothers_database_is_not_ours(void **state)
{
	struct scratch *scratch = *state;
	struct store *store;
	const unsigned char id[4] = { 1, 2, 3, 4 }; /* application_id stands at byte 68 */

	store_close(writer(scratch));
	overwrite(scratch, 68, id, sizeof(id));
	assert_int_equal(store_open_writer(scratch->path, &store, NULL), STORE_DAMAGED);
}

static void a_deleted_file_is_noticed(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = writer(scratch);
	char path[128];

	put_number(store, 1);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_begin(store), STORE_ABSENT);
	store_close(store);
	/* What it left of -wal belongs to no one. */
	store = writer(scratch);
	char text[64] = "";
	assert_int_equal(store_each_minute(store, 0, 0, 10, take_minute, text), STORE_OK);
	assert_string_equal(text, "");
	store_close(store);
}

/* --- no room, no right --- */

static void a_full_disk_keeps_what_was_there(void **state)
{
	struct scratch *scratch = *state;
	struct rlimit before, small = { 256 << 10, RLIM_INFINITY };
	struct store *store = writer(scratch);
	static char blob[100000];
	char text[64] = "";
	int r = 0, n = 0;

	put_number(store, 1);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (!r && n < 100) {
		r = store_begin(store);
		if (!r)
			r = store_put_minute(store, 0, 100 + n, blob, sizeof(blob));
		if (!r)
			r = store_commit(store);
		if (r)
			store_rollback(store);
		else
			n++;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(r, STORE_FULL);
	put_number(store, 2); /* the same connection goes on */
	assert_int_equal(store_each_minute(store, 0, 0, 50, take_minute, text), STORE_OK);
	assert_string_equal(text, "1=1 2=2 ");
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static void a_directory_without_rights_is_read_only(void **state)
{
	struct scratch *scratch = *state;
	pid_t pid;
	int status;

	store_close(writer(scratch));
	assert_int_equal(chmod(scratch->path, 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct store *store;

		if (geteuid() == 0 &&
			(setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(99);
		_exit(store_open_writer(scratch->path, &store, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, STORE_READ_ONLY << 8);
}

static void no_directory_is_an_error(void **state)
{
	struct store *store;
	struct err err = { 0 };

	assert_int_equal(store_open_writer("/nonexistent/memfs", &store, &err), -ENOENT);
	assert_true(*err.reason);
	store_close(NULL);
}

/* --- age and size --- */

static void the_oldest_go_first(void **state)
{
	struct store *store = writer(*state);
	int64_t boot, short_lived, alive, oldest, found;
	int deleted = 0, n = 0;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_boot(store, "aaaa", 1, &boot), STORE_OK);
	short_lived = put_process(store, boot, 10, 1, "short");
	alive = put_process(store, boot, 11, 1, "alive");
	for (int i = 0; i < 3000; i++) {
		static const char blob[200];
		assert_int_equal(store_put_minute(store, alive, 100 + i, blob, sizeof(blob)), STORE_OK);
	}
	assert_int_equal(store_put_minute(store, short_lived, 101, "x", 1), STORE_OK);
	assert_int_equal(store_end_subject(store, short_lived, 101 * 60 + 5), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
	int64_t used = store_used_bytes(store);

	assert_int_equal(store_oldest_minute(store, &oldest), STORE_OK);
	assert_int_equal(oldest, 100);
	assert_int_equal(store_expire(store, 1000, 1, &deleted), STORE_OK);
	assert_int_equal(deleted, 1);
	assert_int_equal(store_oldest_minute(store, &oldest), STORE_OK);
	assert_int_equal(oldest, 101);
	assert_int_equal(store_find_subject(store, 10, 1, &found), STORE_OK);
	do {
		assert_int_equal(store_expire(store, 3000, 500, &deleted), STORE_OK);
	} while (deleted);
	assert_int_equal(store_oldest_minute(store, &oldest), STORE_OK);
	assert_int_equal(oldest, 3000);
	/* Who has no samples left and has ended goes; who lives stays, and so does the node. */
	assert_int_equal(store_find_subject(store, 10, 1, &found), STORE_ABSENT);
	assert_int_equal(store_find_subject(store, 11, 1, &found), STORE_OK);
	assert_int_equal(store_each_minute(store, alive, 0, 10000, count_minutes, &n), STORE_OK);
	assert_int_equal(n, 100);
	assert_true(store_used_bytes(store) < used / 4);
	assert_int_equal(store_tidy(store), STORE_OK);
	assert_int_equal(store_shorten_wal(store), STORE_OK);
	assert_true(store_bytes(store) < used / 4);
	assert_int_equal(store_check(store, NULL), STORE_OK);
	store_close(store);
}

static int take_setting(void *ctx, const char *name, const char *value)
{
	sprintf((char *)ctx + strlen(ctx), "%s=%s ", name, value);
	return 0;
}

static void settings_stay(void **state)
{
	struct store *store = writer(*state);
	char text[100] = "";

	assert_int_equal(store_put_setting(store, "b", "1"), STORE_OK);
	assert_int_equal(store_put_setting(store, "a", "2"), STORE_OK);
	assert_int_equal(store_put_setting(store, "b", "3"), STORE_OK);
	store_close(store);
	store = writer(*state);
	assert_int_equal(store_each_setting(store, take_setting, text), STORE_OK);
	assert_string_equal(text, "a=2 b=3 ");
	store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_come_back),
		TEST(what_was_rolled_back_is_not_there),
		TEST(the_check_finds_what_it_names),
		TEST(one_writer_at_a_time),
		TEST(files_are_for_the_group_of_the_directory),
		TEST(a_reader_without_rights_reads_at_any_time),
		TEST(a_reader_reads_after_a_kill),
		TEST(a_long_reader_stops_no_writer),
		TEST(a_reader_makes_nothing),
		TEST(what_is_no_database_is_damaged),
		TEST(random_bytes_are_found_after_a_crash),
		TEST(random_bytes_are_found_when_they_are_read),
		TEST(a_cut_file_is_damaged),
		TEST(a_newer_one_is_left_alone),
		TEST(anothers_database_is_not_ours),
		TEST(a_deleted_file_is_noticed),
		TEST(a_full_disk_keeps_what_was_there),
		TEST(a_directory_without_rights_is_read_only),
		TEST(no_directory_is_an_error),
		TEST(the_oldest_go_first),
		TEST(settings_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
