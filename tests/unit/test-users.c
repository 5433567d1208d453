/* SPDX-License-Identifier: MIT */
/* Names of users: the first that passwd has, unless it could be taken for another user. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/users.h"
#include "tests/unit/scratch.h"

struct world {
	struct scratch scratch;
	struct proc_root root;
	struct users *users;
};

/* As useradd does: another file takes the name. */
static void write_passwd(const struct world *world, const char *text)
{
	char path[256], fresh[256];

	scratch_join(&world->scratch, "etc/passwd", path, sizeof(path));
	scratch_join(&world->scratch, "etc/passwd+", fresh, sizeof(fresh));
	FILE *file = fopen(fresh, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
	users_refresh(world->users);
}

static int set_up(void **state)
{
	static struct world world;
	char path[256];

	world = (struct world) { .root = PROC_ROOT_INIT };
	assert_int_equal(scratch_make(&world.scratch), 0);
	scratch_join(&world.scratch, "proc", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	scratch_join(&world.scratch, "etc", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(proc_root_init(&world.root, world.scratch.path), 0);
	assert_int_equal(users_new(&world.root, &world.users), 0);
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	users_free(world->users);
	proc_root_deinit(&world->root);
	scratch_remove(&world->scratch);
	return 0;
}

static void expect_name(const struct world *world, uint32_t uid, const char *name)
{
	char array[300];
	struct buf text = BUF_FIXED(array);

	users_put(world->users, uid, &text);
	buf_putc(&text, '\0');
	assert_string_equal(array, name);
}

static void expect_uid(const struct world *world, const char *name, uint32_t uid)
{
	uint32_t found = 0;

	assert_true(users_find(world->users, (struct span) { name, strlen(name) }, &found));
	assert_int_equal(found, uid);
}

static void expect_nobody(const struct world *world, const char *name)
{
	uint32_t uid;
	assert_false(users_find(world->users, (struct span) { name, strlen(name) }, &uid));
}

static void without_passwd_all_are_numbers(void **state)
{
	struct world *world = *state;

	users_refresh(world->users);
	expect_name(world, 0, "0");
	expect_name(world, UINT32_MAX, "4294967295");
	expect_uid(world, "1000", 1000);
	expect_nobody(world, "root");
	expect_nobody(world, "");
	expect_nobody(world, "00");
	expect_nobody(world, "4294967296");
}

static void users_have_the_first_of_their_names(void **state)
{
	struct world *world = *state;

	write_passwd(world, "root:x:0:0::/:\ntoor:x:0:0::/:\nb:x:7:7::/:\na:x:7:7::/:\n");
	expect_name(world, 0, "root");
	expect_name(world, 7, "b");
	expect_name(world, 8, "8");
	expect_uid(world, "root", 0);
	expect_uid(world, "toor", 0);
	expect_uid(world, "0", 0);
	expect_uid(world, "a", 7);
	expect_nobody(world, "roo");
	expect_nobody(world, "roott");
}

static void a_name_is_never_that_of_two_users(void **state)
{
	struct world *world = *state;

	write_passwd(world, "x:x:1:1::/:\nx:x:2:2::/:\n5:x:6:6::/:\n");
	expect_name(world, 1, "x");
	expect_name(world, 2, "2");
	expect_uid(world, "x", 1);
	expect_name(world, 6, "6");
	expect_uid(world, "5", 5);
}

static void names_are_those_of_directories(void **state)
{
	struct world *world = *state;

	write_passwd(world, "a/b:x:1:1::/:\n..:x:2:2::/:\nback\\slash:x:3:3::/:\n");
	expect_name(world, 1, "a\\057b");
	expect_name(world, 2, "\\056\\056");
	expect_name(world, 3, "back\\134slash");
	expect_uid(world, "a\\057b", 1);
	expect_nobody(world, "a/b");
}

static void what_changes_is_read_again(void **state)
{
	struct world *world = *state;
	char path[256];

	write_passwd(world, "a:x:1:1::/:\n");
	expect_name(world, 1, "a");
	write_passwd(world, "b:x:1:1::/:\n");
	expect_name(world, 1, "b");
	expect_nobody(world, "a");
	scratch_join(&world->scratch, "etc/passwd", path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	users_refresh(world->users);
	expect_name(world, 1, "1");
}

static void thousands_are_found(void **state)
{
	struct world *world = *state;
	CLEANUP_BUF struct buf text = BUF_INIT;
	char name[32];

	for (uint32_t i = 0; i < 20000; i++)
		buf_printf(&text, "user%u:x:%u:1::/:\n", i * 7919 % 20000, 1000 + i);
	buf_putc(&text, '\0');
	write_passwd(world, text.data);
	for (uint32_t i = 0; i < 20000; i += 77) {
		snprintf(name, sizeof(name), "user%u", i * 7919 % 20000);
		expect_name(world, 1000 + i, name);
		expect_uid(world, name, 1000 + i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_passwd_all_are_numbers),
		TEST(users_have_the_first_of_their_names),
		TEST(a_name_is_never_that_of_two_users),
		TEST(names_are_those_of_directories),
		TEST(what_changes_is_read_again),
		TEST(thousands_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
