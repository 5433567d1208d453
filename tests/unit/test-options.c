/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/options.h"
#include "tests/unit/scratch.h"

static void set(struct options *options, const char *text)
{
	struct err err = { 0 };

	assert_int_equal(options_set_all(options, text, &err), 0);
	assert_int_equal(err.code, 0);
}

static void assert_refused(const char *text, int code, const char *reason)
{
	struct options options = OPTIONS_INIT;
	struct err err = { 0 };

	assert_int_equal(options_set_all(&options, text, &err), -code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.reason, reason);
	options_deinit(&options);
}

static void each_option_is_taken(void **state)
{
	struct options options = OPTIONS_INIT;

	assert_int_equal(options.log_level, 1);
	set(&options,
		"node=web-3,state=/s,run=/r,proc=/p,single,freshness_ms=250,interval_ms=500,log_level=3");
	assert_string_equal(options.node, "web-3");
	assert_string_equal(options.state, "/s");
	assert_string_equal(options.run, "/r");
	assert_string_equal(options.proc, "/p");
	assert_true(options.single);
	assert_int_equal(options.freshness_ms, 250);
	assert_int_equal(options.interval_ms, 500);
	assert_int_equal(options.log_level, 3);
	set(&options, "sweep=portable");
	assert_string_equal(options.sweep, "portable");
	set(&options, "sweep=bpf");
	assert_string_equal(options.sweep, "bpf");
	set(&options, "dir=/d,host=h,id=i,owner_uid=4294967295,owner_gid=7");
	assert_string_equal(options.dir, "/d");
	assert_string_equal(options.host, "h");
	assert_string_equal(options.id, "i");
	assert_int_equal(options.owner_uid, UINT_MAX);
	assert_int_equal(options.owner_gid, 7);
	/* The last one counts; empty ones are none. */
	set(&options, ",,node=other,,log_level=0,");
	assert_string_equal(options.node, "other");
	assert_int_equal(options.log_level, 0);
	set(&options, "");
	set(&options, "node=with=equals");
	assert_string_equal(options.node, "with=equals");
	options_deinit(&options);
	assert_null(options.node);
}

static void bad_ones_are_refused_with_a_reason(void **state)
{
	static const char *const no_sweeps[] = { "sweep=p", "sweep=bp", "sweep=bpff", "sweep=portable|bpf",
		"sweep=|" };
	assert_refused("nodes=a", EINVAL, "there is no option `nodes`");
	assert_refused("nod=a", EINVAL, "there is no option `nod`");
	assert_refused("Node=a", EINVAL, "there is no option `Node`");
	assert_refused("=a", EINVAL, "there is no option ``");
	assert_refused("node", EINVAL, "option node takes a value");
	assert_refused("node=", EINVAL, "option node takes a value");
	assert_refused("sweep=", EINVAL, "option sweep takes a value");
	for (size_t i = 0; i < sizeof(no_sweeps) / sizeof(*no_sweeps); i++)
		assert_refused(no_sweeps[i], EINVAL, "option sweep takes portable|bpf|bpf-iterator");
	assert_refused("single=1", EINVAL, "option single takes no value");
	assert_refused("freshness_ms", EINVAL, "option freshness_ms takes a number");
	assert_refused("freshness_ms=", EINVAL, "option freshness_ms takes a number");
	assert_refused("freshness_ms=-1", EINVAL, "option freshness_ms takes a number");
	assert_refused("freshness_ms=1s", EINVAL, "option freshness_ms takes a number");
	assert_refused("freshness_ms= 100", EINVAL, "option freshness_ms takes a number");
	assert_refused("freshness_ms=9", ERANGE, "option freshness_ms takes 10 to 60000");
	assert_refused("freshness_ms=60001", ERANGE, "option freshness_ms takes 10 to 60000");
	assert_refused("freshness_ms=4294967306", ERANGE, "option freshness_ms takes 10 to 60000");
	assert_refused("interval_ms=3600001", ERANGE, "option interval_ms takes 10 to 3600000");
	assert_refused("sample_interval_ms=9", ERANGE, "option sample_interval_ms takes 10 to 3600000");
	assert_refused("log_level=4", ERANGE, "option log_level takes 0 to 3");
	assert_refused("node=a,oops", EINVAL, "there is no option `oops`");
}

static void the_ends_of_a_range_are_taken(void **state)
{
	struct options options = OPTIONS_INIT;

	set(&options, "freshness_ms=10,interval_ms=10");
	assert_int_equal(options.freshness_ms, 10);
	set(&options, "freshness_ms=60000,sample_interval_ms=3600000");
	assert_int_equal(options.interval_ms, 3600000);
	options_deinit(&options);
}

/* As the supervisor tells serve. */
static void what_is_put_sets_the_same(void **state)
{
	struct options options = OPTIONS_INIT, again = OPTIONS_INIT;
	struct buf words CLEANUP_BUF = BUF_INIT, words_again CLEANUP_BUF = BUF_INIT;
	struct err err = { 0 };

	set(&options, "node=n,run=/a b,single,log_level=0,freshness_ms=77,id=x,owner_uid=1000");
	set(&options, "dir=/with spaces\tand=equals");
	/* A comma cannot come through -o, but from the command line. */
	assert_int_equal(options_set(&options, "host=a,b", &err), 0);
	options_put(&options, &words);
	for (const char *at = words.data; at < words.data + words.len; at += strlen(at) + 1)
		assert_int_equal(options_set(&again, at, &err), 0);
	options_put(&again, &words_again);
	assert_int_equal(words.len, words_again.len);
	assert_memory_equal(words.data, words_again.data, words.len);
	assert_string_equal(again.dir, "/with spaces\tand=equals");
	assert_string_equal(again.host, "a,b");
	assert_int_equal(again.log_level, 0);
	assert_int_equal(again.freshness_ms, 77);
	assert_int_equal(again.interval_ms, 0);
	assert_null(again.proc);
	options_deinit(&options);
	options_deinit(&again);
}

static void an_option_that_fixes_a_setting_has_its_name_and_range(void **state)
{
	struct options options = OPTIONS_INIT;
	struct buf words CLEANUP_BUF = BUF_INIT, doc CLEANUP_BUF = BUF_INIT;

	assert_string_equal(options_fixing(SETTING_FRESHNESS_MS), "freshness_ms");
	assert_string_equal(options_fixing(SETTING_SAMPLE_INTERVAL_MS), "sample_interval_ms");
	assert_null(options_fixing(SETTING_HISTORY_DAYS));
	set(&options, "interval_ms=50,log_level=1");
	options_put(&options, &words);
	assert_string_equal(words.data, "sample_interval_ms=50");
	struct option_info info;
	for (size_t i = 0; options_describe(i, &info); i++) {
		if (!strcmp(info.name, "freshness_ms"))
			options_put_doc(i, &doc);
	}
	buf_putc(&doc, 0);
	assert_string_equal(
		doc.data, "no number is older than this; 10 to 60000 (the setting freshness_ms, 100)");
	options_deinit(&options);
}

static void help_has_what_people_may_say_and_no_more(void **state)
{
	static const char *const shown[] = { "node=", "state=", "run=", "proc=", "single ",
		"freshness_ms=", "sample_interval_ms=", "log_level=", "sweep=" };
	struct buf help CLEANUP_BUF = BUF_INIT;
	unsigned lines = 0;

	options_help(&help);
	buf_putc(&help, 0);
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		char start[32];
		snprintf(start, sizeof(start), "  %s", shown[i]);
		assert_non_null(strstr(help.data, start));
	}
	for (const char *at = help.data; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, sizeof(shown) / sizeof(*shown));
}

static void assert_node_name(const struct scratch *scratch, const char *given, const char *mapped)
{
	struct options options = OPTIONS_INIT;
	struct err err = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "node=%s", given);
	assert_int_equal(options_set(&options, text, &err), 0);
	snprintf(text, sizeof(text), "run=%s/run,state=%s/state", scratch->path, scratch->path);
	set(&options, text);
	assert_int_equal(options_finish(&options, scratch->path, &err), 0);
	assert_string_equal(options.node, mapped);
	options_deinit(&options);
}

static void names_of_nodes_are_mapped(void **state)
{
	struct scratch scratch;
	char given[101], mapped[65];

	assert_int_equal(scratch_make(&scratch), 0);
	assert_node_name(&scratch, "web-3.example_B", "web-3.example_B");
	assert_node_name(&scratch, "a b/c\td", "a_b_c_d");
	assert_node_name(&scratch, "\xc3\xa4x", "n_x");
	assert_node_name(&scratch, ".hidden", "nhidden");
	assert_node_name(&scratch, "..", "n.");
	assert_node_name(&scratch, "-", "n");
	memset(given, 'x', 100);
	given[100] = 0;
	memset(mapped, 'x', 64);
	mapped[64] = 0;
	assert_node_name(&scratch, given, mapped);
	scratch_remove(&scratch);
}

static void paths_become_absolute_and_directories_are_made(void **state)
{
	struct options options = OPTIONS_INIT;
	struct scratch scratch;
	struct err err = { 0 };
	struct stat st;
	char path[256], *here = getcwd(NULL, 0);

	assert_int_equal(scratch_make(&scratch), 0);
	assert_int_equal(chdir(scratch.path), 0);
	assert_int_equal(mkdir("mnt", 0755), 0);
	assert_int_equal(mkdir("behind", 0755), 0);
	assert_int_equal(symlink("behind", "link"), 0);
	set(&options, "run=deep/er/run,state=./state/,proc=.");
	assert_int_equal(options_finish(&options, "mnt//", &err), 0);
	snprintf(path, sizeof(path), "%s/mnt", scratch.path);
	assert_string_equal(options.dir, path);
	snprintf(path, sizeof(path), "%s/deep/er/run", scratch.path);
	assert_string_equal(options.run, path);
	snprintf(path, sizeof(path), "%s/state", scratch.path);
	assert_string_equal(options.state, path);
	assert_string_equal(options.proc, scratch.path);
	assert_int_equal(stat("state", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(options.owner_uid, geteuid());
	options_deinit(&options);
	/* A link as the mount point leads to what is mounted on. */
	set(&options, "run=run,state=state");
	assert_int_equal(options_finish(&options, "link", &err), 0);
	snprintf(path, sizeof(path), "%s/behind", scratch.path);
	assert_string_equal(options.dir, path);
	assert_string_equal(options.proc, "/");
	options_deinit(&options);
	/* What cannot be: a file in the way, no way at all. */
	assert_int_equal(close(creat("file", 0600)), 0);
	set(&options, "run=file/run,state=state");
	assert_int_equal(options_finish(&options, "mnt", &err), -ENOTDIR);
	assert_int_equal(err.code, ENOTDIR);
	options_deinit(&options);
	err = (struct err) { 0 };
	set(&options, "run=run,state=state");
	assert_int_equal(options_finish(&options, "no/where", &err), -ENOENT);
	assert_non_null(strstr(err.reason, "no/where"));
	options_deinit(&options);
	assert_int_equal(chdir(here), 0);
	free(here);
	scratch_remove(&scratch);
}

/* An ordinary user's defaults, in a process that is one. Exits 0 where they are as wanted. */
static int default_for_user(
	const char *runtime, const char *state_home, const char *home, const char *run, const char *state)
{
	struct options options = OPTIONS_INIT;
	struct err err = { 0 };

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 2;
	clearenv();
	if ((runtime && setenv("XDG_RUNTIME_DIR", runtime, 1)) ||
		(state_home && setenv("XDG_STATE_HOME", state_home, 1)) || (home && setenv("HOME", home, 1)))
		return 3;
	if (options_finish(&options, "/", &err)) {
		fprintf(stderr, "%s\n", err.reason);
		return 4;
	}
	bool right = !strcmp(options.run, run) && !strcmp(options.state, state) && options.owner_uid == 65534;
	if (!right)
		fprintf(stderr, "%s %s\n", options.run, options.state);
	struct stat st;
	right = right && !stat(run, &st) && (st.st_mode & 0777) == 0700;
	options_deinit(&options);
	return right ? 0 : 5;
}

static void defaults_are_by_user(void **state)
{
	struct scratch scratch;
	char runtime[100], state_home[100], home[100], run[128], of_state[128], of_home[128];

	if (geteuid()) {
		/* Whoever is not root cannot become another. */
		skip();
	}
	assert_int_equal(scratch_make(&scratch), 0);
	assert_int_equal(chown(scratch.path, 65534, 65534), 0);
	snprintf(runtime, sizeof(runtime), "%s/runtime", scratch.path);
	snprintf(state_home, sizeof(state_home), "%s/state", scratch.path);
	snprintf(home, sizeof(home), "%s/home", scratch.path);
	snprintf(run, sizeof(run), "%s/memfs", runtime);
	snprintf(of_state, sizeof(of_state), "%s/memfs", state_home);
	snprintf(of_home, sizeof(of_home), "%s/.local/state/memfs", home);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		int status;
		assert_true(pid >= 0);
		if (!pid)
			_exit(i == 0     ? default_for_user(runtime, state_home, home, run, of_state)
				: i == 1 ? default_for_user(runtime, NULL, home, run, of_home)
					 : default_for_user(runtime, "not/absolute", home, run, of_home));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	scratch_remove(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_is_taken),
		cmocka_unit_test(bad_ones_are_refused_with_a_reason),
		cmocka_unit_test(the_ends_of_a_range_are_taken),
		cmocka_unit_test(what_is_put_sets_the_same),
		cmocka_unit_test(an_option_that_fixes_a_setting_has_its_name_and_range),
		cmocka_unit_test(help_has_what_people_may_say_and_no_more),
		cmocka_unit_test(names_of_nodes_are_mapped),
		cmocka_unit_test(paths_become_absolute_and_directories_are_made),
		cmocka_unit_test(defaults_are_by_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
