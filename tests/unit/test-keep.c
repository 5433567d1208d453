/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fuse/keep.h"

static int create(void)
{
	int fd = keep_create();
	assert_true(fd >= 0);
	return fd;
}

static void keeps_what_was_written(void **state)
{
	int fd = create();
	struct keep *keep = NULL;

	assert_int_equal(keep_map(fd, 1, &keep), 0);
	assert_int_equal(keep->served, 0);
	keep->served = 3;
	keep->open_bytes[KEEP_OPENS_BYTES - 1] = 'z';
	keep_unmap(keep);
	assert_int_equal(keep_map(fd, 1, &keep), 0);
	assert_int_equal(keep->served, 3);
	assert_int_equal(keep->open_bytes[KEEP_OPENS_BYTES - 1], 'z');
	keep_unmap(keep);
	keep_unmap(NULL);
	close(fd);
}

static void is_sparse_and_cannot_be_resized(void **state)
{
	int fd = create();
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct keep));
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, st.st_size + 4096), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void of_another_tree_is_emptied(void **state)
{
	int fd = create();
	struct keep *keep;
	struct stat st;

	assert_int_equal(keep_map(fd, 1, &keep), 0);
	keep->served = 3;
	keep->open_bytes[5] = 'z';
	keep->small[1][1].id = 8;
	keep_unmap(keep);
	assert_int_equal(keep_map(fd, 2, &keep), 1);
	assert_int_equal(keep->served, 0);
	assert_int_equal(keep->open_bytes[5], 0);
	assert_int_equal(keep->small[1][1].id, 0);
	keep->served = 4;
	keep_unmap(keep);
	/* It is that tree's now. */
	assert_int_equal(keep_map(fd, 2, &keep), 0);
	assert_int_equal(keep->served, 4);
	keep->magic = 99;
	keep_unmap(keep);
	assert_int_equal(keep_map(fd, 2, &keep), 1);
	assert_int_equal(keep->served, 0);
	keep_unmap(keep);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct keep));
	close(fd);
}

/* What could shrink under the mapping would kill whoever reads it. */
static void what_is_not_sealed_or_of_another_size_is_refused(void **state)
{
	struct keep *keep = NULL;
	int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(loose, sizeof(struct keep)), 0);
	assert_int_equal(keep_map(loose, 1, &keep), -EINVAL);
	assert_int_equal(ftruncate(small, 4096), 0);
	assert_int_equal(fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(keep_map(small, 1, &keep), -EINVAL);
	assert_int_equal(keep_map(null, 1, &keep), -EINVAL);
	assert_int_equal(keep_map(-1, 1, &keep), -EINVAL);
	assert_null(keep);
	close(loose);
	close(small);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_was_written),
		cmocka_unit_test(is_sparse_and_cannot_be_resized),
		cmocka_unit_test(of_another_tree_is_emptied),
		cmocka_unit_test(what_is_not_sealed_or_of_another_size_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
