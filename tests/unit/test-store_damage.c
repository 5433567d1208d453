/* SPDX-License-Identifier: MIT */
/* Damage is found and told apart from no room and no right; what was whole stays so. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "schema/store/store.h"
#include "tests/unit/store_world.h"

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

static void random_bytes_are_found_when_they_are_read(void **state)
{
	struct scratch *scratch = *state;
	unsigned char noise[4096] = { 0x77, 0x66 };
	int n = 0;

	fill(scratch, false);
	/* Behind the first pages of all tables, which an open looks into. */
	for (int page = 60; page < 120; page++)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
