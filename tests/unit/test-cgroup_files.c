/* SPDX-License-Identifier: MIT */
/* The files of cgroups on captured machines, and what mounts of other shapes lead to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/cgroup_files.h"
#include "schema/proc/pid_cgroup.h"

struct machine {
	struct proc_root root;
	struct cgroup_mounts mounts;
};

static void open_machine(struct machine *machine, const char *name)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, name);
	assert_int_equal(proc_root_init(&machine->root, path), 0);
	cgroup_mounts_find(&machine->mounts, &machine->root);
}

static struct board_cgroup cgroup_of(const char *path, unsigned hierarchies)
{
	struct board_cgroup cgroup = { .id = 1, .hierarchies = hierarchies, .len = (uint32_t)strlen(path) };

	strcpy(cgroup.path, path);
	return cgroup;
}

static int render(const struct machine *machine, const struct board_cgroup *cgroup, enum cgroup_file file,
	char ret_text[1100])
{
	struct buf out = { .data = ret_text, .cap = 1100, .fixed = true };
	int r = cgroup_file_render(&machine->mounts, &machine->root, cgroup, file, &out);

	buf_putc(&out, '\0');
	return r;
}

static void expect(const struct machine *machine, const struct board_cgroup *cgroup, enum cgroup_file file,
	const char *expected)
{
	char text[1100];

	assert_int_equal(render(machine, cgroup, file, text), 0);
	assert_string_equal(text, expected);
}

static void expect_none(
	const struct machine *machine, const struct board_cgroup *cgroup, enum cgroup_file file)
{
	char text[1100];

	assert_int_equal(render(machine, cgroup, file, text), -ENODATA);
	assert_string_equal(text, "");
}

static void v1_has_numbers_and_no_pressure(void **state)
{
	const struct board_cgroup sshd =
		cgroup_of("/system.slice/sshd.service", CGROUP_MEMORY_V1 | CGROUP_UNIFIED);
	const struct board_cgroup elsewhere = cgroup_of("/system.slice/sshd.service", CGROUP_UNIFIED);
	struct machine machine;

	open_machine(&machine, "linux-3.10");
	expect(&machine, &sshd, CGROUP_CURRENT, "4866048\n");
	expect(&machine, &sshd, CGROUP_PEAK, "9125888\n");
	expect(&machine, &sshd, CGROUP_MAX, "max\n");
	expect_none(&machine, &sshd, CGROUP_PRESSURE);
	expect_none(&machine, &elsewhere, CGROUP_CURRENT);
	proc_root_deinit(&machine.root);
}

static void v2_has_what_its_kernel_has(void **state)
{
	const struct board_cgroup init = cgroup_of("/init.scope", CGROUP_UNIFIED);
	const struct board_cgroup worker = cgroup_of(
		"/user.slice/user-1000.slice/user@1000.service/app.slice/worker.service", CGROUP_UNIFIED);
	const struct board_cgroup gone = cgroup_of("/gone.service", CGROUP_UNIFIED);
	struct machine machine;

	open_machine(&machine, "linux-5.10");
	expect(&machine, &worker, CGROUP_CURRENT, "3221225472\n");
	expect(&machine, &worker, CGROUP_MAX, "4294967296\n");
	expect(&machine, &init, CGROUP_MAX, "max\n");
	expect_none(&machine, &init, CGROUP_PEAK);
	expect(&machine, &init, CGROUP_PRESSURE,
		"some avg10=0.00 avg60=0.20 avg300=0.04 total=9182736\n"
		"full avg10=0.10 avg60=0.05 avg300=0.00 total=8127364\n");
	for (int file = 0; file < N_CGROUP_FILES; file++)
		expect_none(&machine, &gone, file);
	proc_root_deinit(&machine.root);
}

/* What a container sees is a part of the tree: paths are told from the root of all, or from elsewhere. */
static void a_mount_of_a_part_shows_what_is_below(void **state)
{
	const struct board_cgroup inside = cgroup_of("/docker/7/init.scope", CGROUP_UNIFIED);
	const struct board_cgroup beside = cgroup_of("/docker/77/init.scope", CGROUP_UNIFIED);
	const struct board_cgroup above = cgroup_of("/docker", CGROUP_UNIFIED);
	struct machine machine;

	open_machine(&machine, "linux-5.10");
	strcpy(machine.mounts.unified.root, "/docker/7");
	expect(&machine, &inside, CGROUP_CURRENT, "9682944\n");
	expect_none(&machine, &beside, CGROUP_CURRENT);
	expect_none(&machine, &above, CGROUP_CURRENT);
	proc_root_deinit(&machine.root);
}

static void without_mounts_nothing_is_told(void **state)
{
	const struct board_cgroup init = cgroup_of("/init.scope", CGROUP_UNIFIED | CGROUP_MEMORY_V1);
	struct machine machine;

	open_machine(&machine, "linux-5.10");
	machine.mounts = (struct cgroup_mounts) { 0 };
	for (int file = 0; file < N_CGROUP_FILES; file++)
		expect_none(&machine, &init, file);
	proc_root_deinit(&machine.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_has_numbers_and_no_pressure),
		cmocka_unit_test(v2_has_what_its_kernel_has),
		cmocka_unit_test(a_mount_of_a_part_shows_what_is_below),
		cmocka_unit_test(without_mounts_nothing_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
