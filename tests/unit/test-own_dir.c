/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/supervisor/own_dir.h"
#include "tests/unit/scratch.h"

enum { OTHER_UID = 65534 };

struct place {
	struct scratch scratch;
	char path[256];
};

static const char *below(struct place *place, const char *name)
{
	snprintf(place->path, sizeof(place->path), "%s/%s", place->scratch.path, name);
	return place->path;
}

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	*state = place;
	return place ? scratch_make(&place->scratch) : -1;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	scratch_remove(&place->scratch);
	free(place);
	return 0;
}

static void assert_opens(const char *path)
{
	struct err err = { 0 };
	int fd = -1;

	assert_int_equal(own_dir_open(path, &err, &fd), 0);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
}

static void assert_refused(const char *path, int code, const char *words)
{
	struct err err = { 0 };
	int fd = -7;

	assert_int_equal(own_dir_open(path, &err, &fd), -code);
	assert_int_equal(fd, -7);
	assert_non_null(strstr(err.reason, words));
}

static void what_is_made_is_ours(void **state)
{
	struct place *place = *state;
	struct err err = { 0 };
	struct stat st;

	assert_int_equal(own_dir_make(below(place, "a/b//c//"), 0700, &err), 0);
	assert_opens(below(place, "a/b/c"));
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* Once more: it is there. */
	assert_int_equal(own_dir_make(below(place, "a/b/c"), 0755, &err), 0);
	assert_int_equal(close(creat(below(place, "file"), 0600)), 0);
	assert_int_equal(own_dir_make(below(place, "file/x"), 0700, &err), -ENOTDIR);
	assert_refused(below(place, "file"), ENOTDIR, "file");
	assert_refused(below(place, "none"), ENOENT, "none");
}

static void what_others_can_write_to_is_refused(void **state)
{
	struct place *place = *state;
	struct err err = { 0 };

	assert_int_equal(own_dir_make(below(place, "a/b"), 0700, &err), 0);
	assert_int_equal(chmod(below(place, "a/b"), 0770), 0);
	assert_refused(place->path, EPERM, "can be written by others");
	assert_int_equal(chmod(place->path, 0702), 0);
	assert_refused(place->path, EPERM, "can be written by others");
	assert_int_equal(chmod(place->path, 0755), 0);
	assert_opens(place->path);
	/* On the way: not at all unless it is sticky, a group where the owner likes. */
	assert_int_equal(chmod(below(place, "a"), 0777), 0);
	assert_refused(below(place, "a/b"), EPERM, "can be written by others");
	assert_int_equal(own_dir_make(below(place, "a/new"), 0700, &err), -EPERM);
	assert_int_equal(access(below(place, "a/new"), F_OK), -1);
	assert_int_equal(chmod(below(place, "a"), 01777), 0);
	assert_opens(below(place, "a/b"));
	assert_int_equal(chmod(below(place, "a"), 0775), 0);
	assert_opens(below(place, "a/b"));
}

static void what_others_own_is_refused(void **state)
{
	struct place *place = *state;
	struct err err = { 0 };

	if (geteuid()) /* whoever is not root cannot give things away */
		skip();
	assert_int_equal(own_dir_make(below(place, "a/b"), 0700, &err), 0);
	assert_int_equal(chown(below(place, "a/b"), OTHER_UID, (gid_t)-1), 0);
	assert_refused(place->path, EPERM, "belongs to user 65534, not to user 0");
	assert_int_equal(chown(place->path, 0, (gid_t)-1), 0);
	assert_int_equal(chown(below(place, "a"), OTHER_UID, (gid_t)-1), 0);
	assert_refused(below(place, "a/b"), EPERM, "belongs to user 65534");
	assert_int_equal(chown(below(place, "a"), 0, (gid_t)-1), 0);
	/* A link of ours may lead to it while it is made; what is opened has none at its end. */
	assert_int_equal(symlink("a", below(place, "link")), 0);
	assert_int_equal(own_dir_make(below(place, "link/b"), 0700, &err), 0);
	assert_refused(below(place, "link"), ENOTDIR, "link");
	assert_int_equal(lchown(below(place, "link"), OTHER_UID, (gid_t)-1), 0);
	assert_int_equal(own_dir_make(below(place, "link/b"), 0700, &err), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_made_is_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_others_can_write_to_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_others_own_is_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
