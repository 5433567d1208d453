/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_cgroup.h"
#include "tests/unit/fixtures.h"

static void check(const char *text, const char *path, const char *unit, unsigned hierarchies)
{
	struct pid_cgroup cgroup;

	pid_cgroup_parse(&cgroup, text, strlen(text));
	assert_int_equal(cgroup.path.n, strlen(path));
	assert_memory_equal(cgroup.path.n ? cgroup.path.p : "", path, strlen(path));
	assert_int_equal(cgroup.unit.n, strlen(unit));
	assert_memory_equal(cgroup.unit.n ? cgroup.unit.p : "", unit, strlen(unit));
	assert_int_equal(cgroup.hierarchies, hierarchies);
}

static void units_of_systemd_are_found_in_each_hierarchy(void **state)
{
	check("0::/system.slice/sshd.service\n", "/system.slice/sshd.service", "sshd.service",
		CGROUP_UNIFIED);
	check("0::/user.slice/user-1000.slice/user@1000.service/app.slice/worker.service\n",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/worker.service", "worker.service",
		CGROUP_UNIFIED);
	check("0::/user.slice/user-1000.slice/session-3.scope\n",
		"/user.slice/user-1000.slice/session-3.scope", "session-3.scope", CGROUP_UNIFIED);
	check("3:cpu,memory:/system.slice/a.service\n1:name=systemd:/system.slice/a.service\n"
	      "0::/system.slice/a.service\n",
		"/system.slice/a.service", "a.service", CGROUP_MEMORY_V1 | CGROUP_UNIFIED);
	check("4:memory:/system.slice/named.service\n1:name=systemd:/\n0::/\n", "/system.slice/named.service",
		"named.service", CGROUP_MEMORY_V1);
}

static void what_lies_below_a_unit_is_part_of_it(void **state)
{
	check("0::/system.slice/docker.service/payload/deep\n", "/system.slice/docker.service",
		"docker.service", CGROUP_UNIFIED);
	check("0::/machine.slice/libpod-0a.scope/container\n", "/machine.slice/libpod-0a.scope",
		"libpod-0a.scope", CGROUP_UNIFIED);
	check("0::/user.slice/user-0.slice/user@0.service/app.slice\n",
		"/user.slice/user-0.slice/user@0.service", "user@0.service", CGROUP_UNIFIED);
}

static void the_best_rule_wins(void **state)
{
	check("1:name=systemd:/system.slice/system-pg.slice\n0::/system.slice/system-pg.slice/pg@11.service\n",
		"/system.slice/system-pg.slice/pg@11.service", "pg@11.service", CGROUP_UNIFIED);
	check("1:name=systemd:/user.slice\n", "/user.slice", "user.slice", 0);
	check("0::/a.slice/b.slice/plain\n", "/a.slice/b.slice", "b.slice", CGROUP_UNIFIED);
	check("4:memory:/docker/0123\n1:name=systemd:/\n0::/\n", "/docker/0123", "0123", CGROUP_MEMORY_V1);
	check("0::/.service\n", "/.service", ".service", CGROUP_UNIFIED);
}

static void a_hierarchy_counts_where_the_path_is_in_it(void **state)
{
	/* Without accounting the memory controller has the process further up. */
	check("4:memory:/system.slice\n1:name=systemd:/system.slice/a.service\n", "/system.slice/a.service",
		"a.service", 0);
	check("4:memory:/system.slice/a.service-b\n1:name=systemd:/system.slice/a.service\n",
		"/system.slice/a.service", "a.service", 0);
	check("4:memory:/system.slice/a.service/x\n1:name=systemd:/system.slice/a.service\n",
		"/system.slice/a.service", "a.service", CGROUP_MEMORY_V1);
}

static void the_root_is_no_unit(void **state)
{
	check("", "", "", 0);
	check("0::/\n", "", "", 0);
	check("9:name=systemd:/\n4:memory:/\n0::/\n", "", "", 0);
	check("5:freezer:/a.service\n2:cpu,cpuacct:/b.service\n", "", "", 0);
}

static void names_of_any_shape_are_taken_as_they_are(void **state)
{
	check("0::/a:b/c:d.service\n", "/a:b/c:d.service", "c:d.service", CGROUP_UNIFIED);
	check("0::/x y\tz\\n\n", "/x y\tz\\n", "x y\tz\\n", CGROUP_UNIFIED);
	check("0::/system.slice/a.service (deleted)\n", "/system.slice/a.service", "a.service",
		CGROUP_UNIFIED);
}

static void a_path_that_leads_upward_is_not_followed(void **state)
{
	check("0::/../../b.service\n", "/../../b.service", "b.service", 0);
	check("0::/..\n", "", "", 0);
	check("0::/a.service/..\n", "/a.service", "a.service", CGROUP_UNIFIED);
	check("0::/..a/b\n", "/..a/b", "b", CGROUP_UNIFIED);
}

static void a_line_without_its_end_is_none(void **state)
{
	check("0::/system.slice/ssh", "", "", 0);
	check("0::/a.service\n4:memory:/sys", "/a.service", "a.service", CGROUP_UNIFIED);
	check("0:/a\n0::a\n:\n::\n", "", "", 0);
}

static unsigned with_unit;

static void check_machine(const char *where, const char *text, size_t len)
{
	struct pid_cgroup cgroup;

	pid_cgroup_parse(&cgroup, text, len);
	with_unit += cgroup.unit.n != 0;
	assert_true(cgroup.unit.n <= cgroup.path.n);
}

static void reads_every_machine(void **state)
{
	assert_true(fixtures_visit("cgroup", true, check_machine) >= 15);
	assert_true(with_unit >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_of_systemd_are_found_in_each_hierarchy),
		cmocka_unit_test(what_lies_below_a_unit_is_part_of_it),
		cmocka_unit_test(the_best_rule_wins),
		cmocka_unit_test(a_hierarchy_counts_where_the_path_is_in_it),
		cmocka_unit_test(the_root_is_no_unit),
		cmocka_unit_test(names_of_any_shape_are_taken_as_they_are),
		cmocka_unit_test(a_path_that_leads_upward_is_not_followed),
		cmocka_unit_test(a_line_without_its_end_is_none),
		cmocka_unit_test(reads_every_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
