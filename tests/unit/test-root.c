/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_statm.h"
#include "tests/unit/fixtures.h"

static struct proc_root open_root(const char *dir)
{
	struct proc_root root = PROC_ROOT_INIT;

	assert_int_equal(proc_root_init(&root, dir), 0);
	return root;
}

static int open_pid(const struct proc_root *root, uint32_t pid)
{
	int fd;

	assert_int_equal(proc_open_pid(root, pid, &fd), PROC_OK);
	return fd;
}

static void knows_the_machine_from_a_tree(void **state)
{
	struct proc_root root = open_root("/");

	assert_true(root.real);
	assert_true(root.sys >= 0);
	proc_root_deinit(&root);
	assert_int_equal(root.proc, -1);
	root = open_root(FIXTURES "/linux-6.18");
	assert_false(root.real);
	proc_root_deinit(&root);
	proc_root_deinit(&root);
}

static void a_failed_open_leaves_the_root_alone(void **state)
{
	struct proc_root root = PROC_ROOT_INIT;

	assert_int_equal(proc_root_init(&root, FIXTURES "/no-such"), -ENOENT);
	assert_int_equal(proc_root_init(&root, FIXTURES "/README.md"), -ENOTDIR);
	assert_int_equal(proc_root_init(&root, FIXTURES), -ENOENT);
	assert_int_equal(root.proc, -1);
	assert_int_equal(root.sys, -1);
}

static void lists_the_pids_of_a_tree_ascending(void **state)
{
	static const uint32_t expected[] = { 2, 45, 11876, 11881, 11883, 11887, 11891, 11897, 11901, 11905,
		11909, 11910 };
	struct proc_root root = open_root(FIXTURES "/linux-6.18");
	struct proc_pids pids = { 0 };

	for (int times = 0; times < 2; times++) {
		assert_int_equal(proc_list_pids(&root, &pids), 0);
		assert_int_equal(pids.n, sizeof(expected) / sizeof(*expected));
		assert_memory_equal(pids.pid, expected, sizeof(expected));
	}
	proc_pids_deinit(&pids);
	assert_int_equal(pids.n, 0);
	proc_root_deinit(&root);
}

/* A root in a directory of its own, below TMPDIR. */
static void make_tree(char path[static 256], const char *const *names, size_t n)
{
	const char *tmp = getenv("TMPDIR");
	char name[512];

	snprintf(path, 256, "%s/memfs-root-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
	snprintf(name, sizeof(name), "%s/proc", path);
	assert_int_equal(mkdir(name, 0700), 0);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/proc/%s", path, names[i]);
		assert_int_equal(mkdir(name, 0700), 0);
	}
}

static void remove_tree(const char *path, const char *const *names, size_t n)
{
	char name[512];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/proc/%s", path, names[i]);
		rmdir(name);
	}
	snprintf(name, sizeof(name), "%s/proc", path);
	assert_int_equal(rmdir(name), 0);
	assert_int_equal(rmdir(path), 0);
}

static void only_pids_are_pids(void **state)
{
	static const char *const names[] = { "30", "7", "4194304", "4194305", "0", "01", "1x", "x1", "-1",
		"1 ", "99999999999999999999", "1000000" };
	static const uint32_t expected[] = { 7, 30, 1000000, 4194304 };
	enum { N = sizeof(names) / sizeof(*names) };
	struct proc_pids pids = { 0 };
	char path[256];

	make_tree(path, names, N);
	struct proc_root root = open_root(path);
	assert_int_equal(root.sys, -1);
	assert_int_equal(proc_list_pids(&root, &pids), 0);
	assert_int_equal(pids.n, sizeof(expected) / sizeof(*expected));
	assert_memory_equal(pids.pid, expected, sizeof(expected));
	proc_pids_deinit(&pids);
	proc_root_deinit(&root);
	remove_tree(path, names, N);
}

static void lists_this_process(void **state)
{
	struct proc_root root = open_root("/");
	struct proc_pids pids = { 0 };
	bool found = false;

	assert_int_equal(proc_list_pids(&root, &pids), 0);
	for (size_t i = 0; i < pids.n; i++) {
		assert_true(!i || pids.pid[i - 1] < pids.pid[i]);
		found = found || pids.pid[i] == (uint32_t)getpid();
	}
	assert_true(found);
	proc_pids_deinit(&pids);
	proc_root_deinit(&root);
}

static void reads_to_the_end_and_appends(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT, expected CLEANUP_BUF = BUF_INIT;
	char path[256], name[512];

	make_tree(path, NULL, 0);
	snprintf(name, sizeof(name), "%s/proc/long", path);
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&expected, "line %u\n", i);
	assert_int_equal(fwrite(expected.data, 1, expected.len, file), expected.len);
	assert_int_equal(fclose(file), 0);

	struct proc_root root = open_root(path);
	buf_puts(&text, "head");
	assert_int_equal(proc_read(root.proc, "long", &text), PROC_OK);
	assert_int_equal(text.len, 4 + expected.len);
	assert_memory_equal(text.data, "head", 4);
	assert_memory_equal(text.data + 4, expected.data, expected.len);
	proc_root_deinit(&root);
	unlink(name);
	remove_tree(path, NULL, 0);
}

static void reads_files_whose_size_is_zero(void **state)
{
	struct proc_root root = open_root("/");
	struct buf text CLEANUP_BUF = BUF_INIT;

	for (int times = 0; times < 2; times++) {
		buf_clear(&text);
		assert_int_equal(proc_read(root.proc, "meminfo", &text), PROC_OK);
		assert_memory_equal(text.data, "MemTotal:", 9);
		assert_int_equal(text.data[text.len - 1], '\n');
	}
	proc_root_deinit(&root);
}

static void a_buffer_too_small_is_left_as_it_was(void **state)
{
	struct proc_root root = open_root(FIXTURES "/linux-6.18");
	char array[100];
	struct buf text = BUF_FIXED(array);

	buf_puts(&text, "kept");
	assert_int_equal(proc_read(root.proc, "meminfo", &text), -EFBIG);
	assert_int_equal(text.len, 4);
	buf_clear(&text);
	assert_int_equal(proc_read(root.proc, "2/comm", &text), PROC_OK);
	assert_int_equal(text.len, 9);
	assert_memory_equal(array, "kthreadd\n", 9);
	proc_root_deinit(&root);
}

static void a_short_read_is_cut(void **state)
{
	struct proc_root root = open_root(FIXTURES "/linux-6.18");
	char array[10];
	size_t len = 77;

	assert_int_equal(proc_read_short(root.proc, "no-such", array, sizeof(array), &len), -ENOENT);
	assert_int_equal(len, 77);
	assert_int_equal(proc_read_short(root.proc, "meminfo", array, sizeof(array), &len), PROC_OK);
	assert_int_equal(len, sizeof(array));
	assert_memory_equal(array, "MemTotal: ", 10);
	proc_root_deinit(&root);
}

static void a_file_the_kernel_lacks_is_no_death(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	char array[64];
	size_t len;

	for (int real = 0; real < 2; real++) {
		struct proc_root root = open_root(real ? "/" : FIXTURES "/linux-4.19");
		int fd CLEANUP_CLOSE = open_pid(&root, real ? (uint32_t)getpid() : 20400);
		assert_int_equal(proc_read(root.proc, "no-such", &text), -ENOENT);
		assert_int_equal(proc_read(root.sys, "no-such", &text), -ENOENT);
		assert_int_equal(proc_read(fd, "no-such", &text), -ENOENT);
		assert_int_equal(proc_read_short(fd, "no-such", array, sizeof(array), &len), -ENOENT);
		assert_int_equal(text.len, 0);
		proc_root_deinit(&root);
	}
}

static void a_process_that_never_was_is_gone(void **state)
{
	struct proc_root root = open_root("/");
	int fd = 77;

	assert_int_equal(proc_open_pid(&root, 4194304, &fd), PROC_GONE);
	assert_int_equal(proc_open_pid(&root, 0, &fd), PROC_GONE);
	assert_int_equal(proc_open_pid(&root, UINT32_MAX, &fd), PROC_GONE);
	assert_int_equal(fd, 77);
	proc_root_deinit(&root);
}

/* A failed assertion must not leave children behind; the kernel keeps this wish per thread. */
static void *wait_forever(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return unused;
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		wait_forever(NULL);
	return pid;
}

static void a_dead_process_is_gone_for_every_file(void **state)
{
	struct proc_root root = open_root("/");
	pid_t pid = start_child();
	int fd CLEANUP_CLOSE = open_pid(&root, (uint32_t)pid), living = -1;
	struct buf text CLEANUP_BUF = BUF_INIT;
	char array[64];
	size_t len;

	assert_int_equal(proc_read(fd, "statm", &text), PROC_OK);
	buf_clear(&text);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_read(fd, "statm", &text), PROC_GONE);
	assert_int_equal(proc_read(fd, "smaps_rollup", &text), PROC_GONE);
	assert_int_equal(proc_read(fd, "no-such", &text), PROC_GONE);
	assert_int_equal(proc_read_short(fd, "stat", array, sizeof(array), &len), PROC_GONE);
	assert_int_equal(proc_open_living_thread(fd, &living), PROC_GONE);
	assert_int_equal(living, -1);
	assert_int_equal(text.len, 0);
	proc_root_deinit(&root);
}

static void a_removed_directory_of_a_tree_is_gone(void **state)
{
	static const char *const names[] = { "7" };
	struct buf text CLEANUP_BUF = BUF_INIT;
	char path[256];

	make_tree(path, names, 1);
	struct proc_root root = open_root(path);
	int fd CLEANUP_CLOSE = open_pid(&root, 7);
	assert_int_equal(proc_read(fd, "stat", &text), -ENOENT);
	remove_tree(path, names, 1);
	assert_int_equal(proc_read(fd, "stat", &text), PROC_GONE);
	proc_root_deinit(&root);
}

static void a_zombie_lives_without_memory(void **state)
{
	struct proc_root root = open_root("/");
	pid_t pid = start_child();
	int fd CLEANUP_CLOSE = open_pid(&root, (uint32_t)pid), living = -1;
	struct buf text CLEANUP_BUF = BUF_INIT;
	siginfo_t info;

	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_read(fd, "smaps_rollup", &text), -ESRCH);
	assert_int_equal(text.len, 0);
	assert_int_equal(proc_read(fd, "stat", &text), PROC_OK);
	assert_int_equal(proc_open_living_thread(fd, &living), PROC_GONE);
	assert_int_equal(living, -1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	proc_root_deinit(&root);
}

static char state_of(int fd)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_stat stat;

	assert_int_equal(proc_read(fd, "stat", &text), PROC_OK);
	assert_true(pid_stat_parse(&stat, text.data, text.len));
	return stat.state;
}

static void a_zombie_leader_is_read_through_its_thread(void **state)
{
	struct proc_root root = open_root("/");
	int64_t deadline = clock_monotonic_ns() + INT64_C(10000000000);
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct process_values values = { 0 };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, wait_forever, NULL))
			_exit(1);
		pthread_exit(NULL);
	}
	int fd CLEANUP_CLOSE = open_pid(&root, (uint32_t)pid), living CLEANUP_CLOSE = -1;
	while (state_of(fd) != 'Z' && clock_monotonic_ns() < deadline)
		nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
	assert_int_equal(state_of(fd), 'Z');
	assert_int_equal(proc_read(fd, "statm", &text), PROC_OK);
	assert_true(pid_statm_parse(&values, text.data, text.len, 4096));
	assert_int_equal(values.present, 0);
	buf_clear(&text);
	assert_int_equal(proc_open_living_thread(fd, &living), PROC_OK);
	assert_int_equal(proc_read(living, "statm", &text), PROC_OK);
	assert_true(pid_statm_parse(&values, text.data, text.len, 4096));
	assert_true(values.value[PROCESS_RSS] > 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_read(living, "statm", &text), PROC_GONE);
	proc_root_deinit(&root);
}

static void threads_of_a_tree(void **state)
{
	struct proc_root root = open_root(FIXTURES "/linux-6.18");
	int leader CLEANUP_CLOSE = open_pid(&root, 11876), plain CLEANUP_CLOSE = open_pid(&root, 11887);
	int zombie CLEANUP_CLOSE = open_pid(&root, 11883), fd = -1;
	char text[64];
	size_t len;

	assert_int_equal(proc_open_living_thread(leader, &fd), PROC_OK);
	assert_int_equal(state_of(fd), 'S');
	assert_int_equal(proc_read_short(fd, "statm", text, sizeof(text), &len), PROC_OK);
	assert_int_not_equal(text[0], '0');
	close_fd(&fd);
	assert_int_equal(proc_open_living_thread(plain, &fd), PROC_OK);
	assert_int_not_equal(fd, plain);
	close_fd(&fd);
	assert_int_equal(proc_open_living_thread(zombie, &fd), PROC_GONE);
	assert_int_equal(fd, -1);
	proc_root_deinit(&root);
}

static size_t count_descriptors(void)
{
	DIR *dir CLEANUP_CLOSEDIR = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static void no_descriptor_is_left(void **state)
{
	size_t before = count_descriptors();

	threads_of_a_tree(state);
	lists_the_pids_of_a_tree_ascending(state);
	a_failed_open_leaves_the_root_alone(state);
	a_dead_process_is_gone_for_every_file(state);
	a_zombie_lives_without_memory(state);
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_machine_from_a_tree),
		cmocka_unit_test(a_failed_open_leaves_the_root_alone),
		cmocka_unit_test(lists_the_pids_of_a_tree_ascending),
		cmocka_unit_test(only_pids_are_pids),
		cmocka_unit_test(lists_this_process),
		cmocka_unit_test(reads_to_the_end_and_appends),
		cmocka_unit_test(reads_files_whose_size_is_zero),
		cmocka_unit_test(a_buffer_too_small_is_left_as_it_was),
		cmocka_unit_test(a_short_read_is_cut),
		cmocka_unit_test(a_file_the_kernel_lacks_is_no_death),
		cmocka_unit_test(a_process_that_never_was_is_gone),
		cmocka_unit_test(a_dead_process_is_gone_for_every_file),
		cmocka_unit_test(a_removed_directory_of_a_tree_is_gone),
		cmocka_unit_test(a_zombie_lives_without_memory),
		cmocka_unit_test(a_zombie_leader_is_read_through_its_thread),
		cmocka_unit_test(threads_of_a_tree),
		cmocka_unit_test(no_descriptor_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
