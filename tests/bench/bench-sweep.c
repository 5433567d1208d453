/* SPDX-License-Identifier: MIT */
/*
 * What a tick of the collector costs per process, among 2,000 and 10,000 sleeping processes (--quick: 500;
 * --only TEXT: ticks named so among 10,000),
 * beside the usual ways to ask the same. Sleepers are children of this program and die with it; where some
 * are to change between two ticks, these map and touch memory, or give it back. Other tools are run where
 * installed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/sample/sampler.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"
#include "tests/bench/scrape.h"

enum { ROUNDS = 21, TOOL_ROUNDS = 5, EXPORTER_PORT = 19256, CHANGE_BYTES = 256 << 10 };

struct sleepers {
	pid_t *pid;
	size_t n;
	_Atomic unsigned *changes; /* shared with them */
};

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static void report(const char *what, double *us, size_t n, size_t processes)
{
	qsort(us, n, sizeof(*us), compare);
	printf("  %-46s %9.0f us %8.3f us/process (min %.3f max %.3f)\n", what, us[n / 2],
		us[n / 2] / (double)processes, us[0] / (double)processes, us[n - 1] / (double)processes);
}

static double us_since(int64_t begin_ns)
{
	return (double)(clock_monotonic_ns() - begin_ns) / 1000;
}

/* A sleeper changes when it is told to, and counts it. */
static void sleeper_main(pid_t parent, _Atomic unsigned *changes)
{
	sigset_t told;
	char *block = MAP_FAILED;

	sigemptyset(&told);
	sigaddset(&told, SIGUSR1);
	while (getppid() == parent) {
		if (sigwaitinfo(&told, NULL) != SIGUSR1)
			continue;
		if (block == MAP_FAILED) {
			block = mmap(NULL, CHANGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
			if (block != MAP_FAILED)
				memset(block, 1, CHANGE_BYTES);
		} else {
			munmap(block, CHANGE_BYTES);
			block = MAP_FAILED;
		}
		atomic_fetch_add(changes, 1);
	}
}

/* Makes `percent` of them change, each time others, and waits until they did. */
static void change(struct sleepers *sleepers, unsigned percent, unsigned round)
{
	unsigned n = 0, before = atomic_load(sleepers->changes);
	if (!percent)
		return;
	for (size_t i = round % (100 / percent); i < sleepers->n; i += 100 / percent)
		n += kill(sleepers->pid[i], SIGUSR1) == 0;
	while (atomic_load(sleepers->changes) - before < n) {
		const struct timespec pause = { 0, 1000000 };
		nanosleep(&pause, NULL);
	}
}

/* What this thread had of a processor: other work on the machine does not count. */
static int64_t processor_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool spawn(struct sleepers *sleepers, size_t n)
{
	sigset_t told;
	sigemptyset(&told);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL);
	sleepers->pid = calloc(n, sizeof(*sleepers->pid));
	sleepers->changes = mmap(
		NULL, sizeof(*sleepers->changes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!sleepers->pid || sleepers->changes == MAP_FAILED)
		return false;
	for (sleepers->n = 0; sleepers->n < n; sleepers->n++) {
		pid_t parent = getpid(), pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			setpriority(PRIO_PROCESS, 0, 0);
			sleeper_main(parent, sleepers->changes);
			_exit(0);
		}
		if (pid < 0) {
			fprintf(stderr, "bench-sweep: fork %zu: %s\n", sleepers->n, strerror(errno));
			return false;
		}
		sleepers->pid[sleepers->n] = pid;
	}
	return true;
}

static void end(struct sleepers *sleepers)
{
	for (size_t i = 0; i < sleepers->n; i++)
		kill(sleepers->pid[i], SIGKILL);
	for (size_t i = 0; i < sleepers->n; i++)
		waitpid(sleepers->pid[i], NULL, 0);
	munmap((void *)(uintptr_t)sleepers->changes, sizeof(*sleepers->changes));
	free(sleepers->pid);
}

struct way {
	const char *what;
	bool tasks, trusts_births;
	enum tasks_way best;
	unsigned percent; /* of the sleepers change between two ticks */
	int settle;       /* ticks before those that count: by files, until sleep is known to be deep */
};

static const struct way ways[] = {
	{ "memfs tick by BPF", true, true, TASKS_WALK, 0, 12 },
	{ "memfs tick by BPF, 10 % changed", true, true, TASKS_WALK, 10, 12 },
	{ "memfs tick by BPF with the iterator", true, true, TASKS_ITERATOR, 0, 12 },
	{ "memfs tick by BPF with the iterator, 10 % changed", true, true, TASKS_ITERATOR, 10, 12 },
	{ "memfs tick by files, births from the kernel", false, true, 0, 0, 140 },
	{ "memfs tick by files, 10 % changed", false, true, 0, 10, 12 },
	{ "memfs tick by files, listing each time", false, false, 0, 0, 12 },
};

/* Ticks come at the pace of the collector's default: what is cold then is cold here. */
static bool bench_sampler(const struct proc_root *root, struct sleepers *sleepers, const struct way *way)
{
	CLEANUP_CLOSE int fd = board_create();
	struct board *board = NULL;
	struct board_health none = { 0 };
	struct sampler sampler;
	struct rlimit limit;
	struct err err = { 0 };
	double us[ROUNDS], cpu_us[ROUNDS];

	if (fd < 0 || board_map(fd, true, &board) < 0)
		return false;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (sampler_init(&sampler, root, board, limit.rlim_cur - SAMPLER_FD_SPARE, &none) < 0) {
		board_unmap(board);
		return false;
	}
	sampler.trusts_births = way->trusts_births;
	bool can = !way->tasks || sampler_start_tasks(&sampler, way->best, &err) == 0;
	if (!can)
		printf("  %-46s not here: %s\n", way->what, err.reason);
	for (int i = -way->settle; can && i < ROUNDS; i++) {
		const struct timespec pause = { 1, 0 };
		nanosleep(&pause, NULL);
		change(sleepers, way->percent, (unsigned)(i + way->settle));
		int64_t begin_ns = clock_monotonic_ns(), begin_cpu_ns = processor_ns();
		sampler_tick(&sampler);
		free(sampler_history(&sampler));
		if (i < 0)
			continue;
		us[i] = us_since(begin_ns);
		cpu_us[i] = (double)(processor_ns() - begin_cpu_ns) / 1000;
	}
	if (can) {
		report(way->what, us, ROUNDS, sampler.table.n);
		report("  of a processor", cpu_us, ROUNDS, sampler.table.n);
	}
	sampler_deinit(&sampler);
	board_unmap(board);
	return true;
}

/* The plain way: every directory listed, every statm opened, read, closed. */
static void bench_plain(const struct proc_root *root, const char *file)
{
	struct proc_pids pids = { 0 };
	double us[ROUNDS];
	char what[64];

	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin_ns = clock_monotonic_ns();
		proc_list_pids(root, &pids);
		for (size_t k = 0; k < pids.n; k++) {
			char path[40], text[4096];
			snprintf(path, sizeof(path), "%u/%s", pids.pid[k], file);
			int fd = openat(root->proc, path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (read(fd, text, sizeof(text)) < 0)
				text[0] = '\0';
			close(fd);
		}
		us[i] = us_since(begin_ns);
	}
	snprintf(what, sizeof(what), "getdents, open+read+close of %s", file);
	report(what, us, ROUNDS, pids.n);
	proc_pids_deinit(&pids);
}

static size_t count(const struct proc_root *root)
{
	struct proc_pids pids = { 0 };
	size_t n = proc_list_pids(root, &pids) == 0 ? pids.n : 1;
	proc_pids_deinit(&pids);
	return n ? n : 1;
}

/* A command line, timed whole; `minus` is run as well, and its time taken off. */
static void bench_tool(const struct proc_root *root, const char *what, const char *command, const char *minus)
{
	double us[TOOL_ROUNDS];
	for (int i = 0; i < TOOL_ROUNDS; i++) {
		int64_t begin_ns = clock_monotonic_ns();
		if (system(command) != 0) {
			printf("  %-46s not here\n", what);
			return;
		}
		us[i] = us_since(begin_ns);
		if (minus) {
			begin_ns = clock_monotonic_ns();
			if (system(minus) != 0)
				return;
			us[i] -= us_since(begin_ns);
		}
	}
	report(what, us, TOOL_ROUNDS, count(root));
}

static void bench_exporter(const struct proc_root *root)
{
	static const char program[] = "/usr/bin/prometheus-process-exporter";
	static const char what[] = "prometheus-process-exporter, a scrape";
	char listen[64], config[] = "/tmp/bench-sweep-XXXXXX";
	double us[TOOL_ROUNDS];

	if (access(program, X_OK) != 0) {
		printf("  %-46s not here\n", what);
		return;
	}
	CLEANUP_CLOSE int fd = mkstemp(config);
	static const char names[] = "process_names:\n  - name: \"{{.PID}}\"\n    cmdline:\n    - '.+'\n";
	if (fd < 0 || write(fd, names, sizeof(names) - 1) < 0)
		return;
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", EXPORTER_PORT);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execl(program, program, listen, "--config.path", config, "--threads=false",
			"--gather-smaps=false", (char *)NULL);
		_exit(127);
	}
	size_t bytes = 0;
	for (int i = 0; i < 100 && !bytes; i++) {
		const struct timespec pause = { 0, 100000000 };
		nanosleep(&pause, NULL);
		bytes = scrape(EXPORTER_PORT);
	}
	for (int i = 0; i < TOOL_ROUNDS && bytes; i++) {
		int64_t begin_ns = clock_monotonic_ns();
		bytes = scrape(EXPORTER_PORT);
		us[i] = us_since(begin_ns);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(config);
	if (bytes)
		report(what, us, TOOL_ROUNDS, count(root));
	else
		printf("  %-46s does not answer\n", what);
}

/* only: of the ways to tick those whose name has it, and nothing else; NULL: all. */
static bool bench(const struct proc_root *root, size_t n, const char *only)
{
	struct sleepers sleepers = { 0 };
	bool fine = spawn(&sleepers, n);
	if (fine)
		printf("%zu processes:\n", count(root));
	for (size_t i = 0; fine && i < sizeof(ways) / sizeof(*ways); i++)
		if (!only || strstr(ways[i].what, only))
			fine = bench_sampler(root, &sleepers, &ways[i]);
	if (fine && !only) {
		bench_plain(root, "statm");
		bench_plain(root, "stat");
		bench_tool(root, "ps -eo pid,rss,vsz", "ps -eo pid,rss,vsz >/dev/null 2>&1", NULL);
		bench_tool(root, "psutil memory_info (without its start)",
			"/usr/bin/python3 -c 'import psutil\nfor p in psutil.process_iter():\n"
			"  try: p.memory_info()\n  except psutil.Error: pass' >/dev/null 2>&1",
			"/usr/bin/python3 -c 'import psutil' >/dev/null 2>&1");
		bench_exporter(root);
	}
	end(&sleepers);
	return fine;
}

int main(int argc, char **argv)
{
	struct proc_root root = PROC_ROOT_INIT;
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	const char *only = argc > 2 && strcmp(argv[1], "--only") == 0 ? argv[2] : NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setpriority(PRIO_PROCESS, 0, -20);
	if (proc_root_init(&root, "/") < 0)
		return 1;
	bool fine = only || bench(&root, quick ? 500 : 2000, NULL);
	if (fine && !quick)
		fine = bench(&root, 10000, only);
	proc_root_deinit(&root);
	return fine ? 0 : 1;
}
