/* SPDX-License-Identifier: MIT */
/* What memfs run makes of its arguments, and of the program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/commands/run_program.h"
#include "fs/commands/run_region.h"
#include "schema/base/cleanup.h"
#include "schema/shadow.h"

static void assert_mode(const char *text, const char *expected)
{
	CLEANUP_BUF struct buf mode = BUF_INIT;
	struct err err = { 0 };

	assert_int_equal(run_put_mode(&mode, text, &err), 0);
	assert_string_equal(mode.data, expected);
}

static void modes(void **state)
{
	static const char *const wrong[] = { "", "exactly", "exact=5", "off=1", "sample=", "sample=0",
		"sample=x", "sample=5Q", "sample=18446744073709551615", "=5", "Exact" };

	assert_mode("off", "off");
	assert_mode("exact", "exact");
	assert_mode("sample", "sample");
	assert_mode("sample=64K", "sample 65536");
	assert_mode("stacks 1m", "stacks 1048576");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CLEANUP_BUF struct buf mode = BUF_INIT;
		struct err err = { 0 };
		assert_true(run_put_mode(&mode, wrong[i], &err) < 0);
		assert_true(strlen(err.reason) > 0);
	}
}

struct file {
	Elf64_Ehdr head;
	Elf64_Phdr segment[3];
};

static struct file make_program(void)
{
	struct file file = { 0 };

	memcpy(file.head.e_ident, ELFMAG, SELFMAG);
	file.head.e_ident[EI_CLASS] = ELFCLASS64;
#if defined(__aarch64__)
	file.head.e_machine = EM_AARCH64;
#else
	file.head.e_machine = EM_X86_64;
#endif
	file.head.e_phoff = offsetof(struct file, segment);
	file.head.e_phentsize = sizeof(Elf64_Phdr);
	file.head.e_phnum = 3;
	file.segment[0].p_type = PT_LOAD;
	return file;
}

static void programs(void **state)
{
	struct file file = make_program();

	assert_int_equal(program_kind_of(&file, sizeof(file)), PROGRAM_STATIC);
	file.segment[2].p_type = PT_INTERP;
	assert_int_equal(program_kind_of(&file, sizeof(file)), PROGRAM_DYNAMIC);
	/* Cut, or with headers anywhere. */
	assert_int_equal(program_kind_of(&file, sizeof(file) - 1), PROGRAM_UNKNOWN);
	assert_int_equal(program_kind_of(&file, 10), PROGRAM_UNKNOWN);
	file.head.e_phoff = UINT64_MAX - 8;
	assert_int_equal(program_kind_of(&file, sizeof(file)), PROGRAM_UNKNOWN);
	file = make_program();
	file.head.e_phnum = UINT16_MAX;
	assert_int_equal(program_kind_of(&file, sizeof(file)), PROGRAM_UNKNOWN);
	file.head.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(program_kind_of(&file, sizeof(file)), PROGRAM_OTHER_MACHINE);
	assert_int_equal(program_kind_of("text", 4), PROGRAM_UNKNOWN);
}

static void assert_interpreter(const char *text, const char *expected)
{
	CLEANUP_BUF struct buf path = BUF_INIT;

	program_put_interpreter(&path, text, strlen(text));
	buf_putc(&path, 0);
	assert_string_equal(path.data, expected);
}

static void scripts(void **state)
{
	assert_interpreter("#!/bin/sh\n", "/bin/sh");
	assert_interpreter("#! \t/usr/bin/env python3\n", "/usr/bin/env");
	assert_interpreter("#!/bin/sh", "/bin/sh");
	assert_interpreter("#!", "");
	assert_interpreter("#", "");
	assert_interpreter("echo", "");
}

static void looked_up_like_execvp(void **state)
{
	assert_int_equal(program_look("sh"), PROGRAM_DYNAMIC);
	assert_int_equal(program_look("/bin/sh"), PROGRAM_DYNAMIC);
	assert_int_equal(program_look("there-is-no-such-command"), PROGRAM_UNKNOWN);
	assert_int_equal(program_look("/"), PROGRAM_UNKNOWN);
}

static void a_region_is_as_the_shim_wants_it(void **state)
{
	struct err err = { 0 };
	struct stat st;
	int fd = -1;

	assert_int_equal(run_make_region(&fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SHADOW_FILE_BYTES);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & SHADOW_SEALS, SHADOW_SEALS);
	assert_int_equal(fcntl(fd, F_GETFD), 0); /* open over exec */
	close(fd);
}

/* In a child: what the limit is once lowered it stays, and beyond it the kernel kills. */
static void a_limit_of_files_is_heeded(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		const struct rlimit limit = { 1 << 20, 1 << 20 };
		struct err err = { 0 };
		int fd = -1;
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(run_make_region(&fd, &err) != -EFBIG);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void nobody_listens(void **state)
{
	struct err err = { 0 };
	int fd = -1;

	assert_int_equal(run_make_region(&fd, &err), 0);
	assert_int_equal(run_offer_region(fd, "/nonexistent", &err), -ENOENT);
	assert_false(run_has_socket("/nonexistent"));
	assert_false(run_has_socket("/"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(programs),
		cmocka_unit_test(scripts),
		cmocka_unit_test(looked_up_like_execvp),
		cmocka_unit_test(a_region_is_as_the_shim_wants_it),
		cmocka_unit_test(a_limit_of_files_is_heeded),
		cmocka_unit_test(nobody_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
