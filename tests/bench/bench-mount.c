/* SPDX-License-Identifier: MIT */
/*
 * What reading the mount costs, beside procfs, tmpfs and lxcfs, while the ticker refreshes as it always does.
 * As subjects take turns, each is refreshed more often per call than one that is read without pause.
 */
#include "tests/bench/place.h"

enum { BATCH_MS = 100, BATCH_QUICK_MS = 10, SAMPLES = 1 << 20, READERS_MAX = 4 };

struct file {
	char path[128];
	int fd;
};

static int open_read_close(void *ctx)
{
	const struct file *file = ctx;
	char text[65536];
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text));
	int r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int pread_kept(void *ctx)
{
	const struct file *file = ctx;
	char text[4096];

	return pread(file->fd, text, sizeof(text), 0) < 0 ? -errno : 0;
}

static int stat_file(void *ctx)
{
	const struct file *file = ctx;
	struct stat st;

	return stat(file->path, &st) ? -errno : 0;
}

static unsigned batch_ms(const struct place *place)
{
	return place->quick ? BATCH_QUICK_MS : BATCH_MS;
}

static int measure(const struct place *place, struct bench_subject *subject, size_t n)
{
	if (bench_rounds(subject, n, place->rounds, batch_ms(place)))
		return -1;
	for (size_t i = 0; i < n; i++)
		bench_print(subject[i].what, bench_stat(subject[i].us, place->rounds));
	return 0;
}

static struct bench_stat ratio(
	const struct place *place, const struct bench_subject *above, const struct bench_subject *below)
{
	return bench_ratio(above->us, below->us, place->rounds);
}

/* A file of the same bytes, as deep and behind a link of the same name, in a tmpfs. */
static int copy_to_tmpfs(pid_t pid, const char *name)
{
	char from[128], to[128], text[4096];
	ssize_t n;

	mkdir("tmpfs/nodes", 0755);
	mkdir("tmpfs/nodes/bench", 0755);
	if (symlink("nodes/bench", "tmpfs/local") && errno != EEXIST)
		return -1;
	snprintf(to, sizeof(to), "tmpfs/nodes/bench/%d", (int)pid);
	mkdir(to, 0755);
	snprintf(from, sizeof(from), "memfs/local/%d/%s", (int)pid, name);
	snprintf(to, sizeof(to), "tmpfs/local/%d/%s", (int)pid, name);
	CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (in < 0 || out < 0 || (n = read(in, text, sizeof(text))) <= 0 ||
		write(out, text, (size_t)n) != n) {
		fprintf(stderr, "%s: cannot be copied: %s\n", from, strerror(errno));
		return -1;
	}
	return 0;
}

/* The bytes must be right before their speed means anything. */
static int compare_bytes(const char *left, const char *right)
{
	char a[4096] = "", b[4096] = "";
	CLEANUP_CLOSE int left_fd = open(left, O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int right_fd = open(right, O_RDONLY | O_CLOEXEC);

	if (read(left_fd, a, sizeof(a) - 1) <= 0 || read(right_fd, b, sizeof(b) - 1) <= 0 ||
		strcmp(a, b) != 0) {
		fprintf(stderr, "%s: %s is not what %s says: %s\n", left, a, right, b);
		return -1;
	}
	return 0;
}

enum { LOCAL_STATM, LOCAL_RSS, NODES_STATM, NODES_RSS, PROC_STATM, PROC_SELF, PROC_STATUS, TMPFS, N_READ };
/* A group of their own, for their requests leave caches and CPUs in another state. */
enum { SINGLE_STATM = N_READ, SINGLE_RSS, SINGLE_LOCAL, PROC_AGAIN, N_ALL };

static void name_files(struct file file[N_ALL], pid_t pid)
{
	static const char *const path[N_ALL] = { [LOCAL_STATM] = "memfs/local/%d/statm",
		[LOCAL_RSS] = "memfs/local/%d/rss",
		[NODES_STATM] = "memfs/nodes/bench/%d/statm",
		[NODES_RSS] = "memfs/nodes/bench/%d/rss",
		[PROC_STATM] = "/proc/%d/statm",
		[PROC_SELF] = "/proc/self/statm",
		[PROC_STATUS] = "/proc/%d/status",
		[TMPFS] = "tmpfs/local/%d/statm",
		[SINGLE_STATM] = "single/nodes/bench/%d/statm",
		[SINGLE_RSS] = "single/nodes/bench/%d/rss",
		[SINGLE_LOCAL] = "single/local/%d/statm",
		[PROC_AGAIN] = "/proc/%d/statm" };

	for (int i = 0; i < N_ALL; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(file[i].path, sizeof(file[i].path), path[i], (int)pid);
#pragma GCC diagnostic pop
	}
}

static int bench_reads(const struct place *place, struct file file[N_ALL], bool *fine)
{
	struct bench_subject subject[N_ALL];

	for (int i = 0; i < N_ALL; i++)
		subject[i] = (struct bench_subject) { file[i].path, open_read_close, &file[i], { 0 } };
	printf("open+read+close of one file of a sleeping process, warm:\n");
	if (measure(place, subject, N_READ))
		return -1;
	const struct bench_subject *proc = &subject[PROC_STATM];
	*fine &= bench_reach(
		"local/PID/statm to /proc/PID/statm", ratio(place, &subject[LOCAL_STATM], proc), true, 1);
	*fine &= bench_reach(
		"local/PID/rss to /proc/PID/statm", ratio(place, &subject[LOCAL_RSS], proc), true, 1);
	bench_print_ratio(
		"nodes/NODE/PID/statm to /proc/PID/statm", ratio(place, &subject[NODES_STATM], proc));
	bench_print_ratio("nodes/NODE/PID/rss to /proc/PID/statm", ratio(place, &subject[NODES_RSS], proc));
	bench_print_ratio("local/PID/rss to /proc/PID/status, its source",
		ratio(place, &subject[LOCAL_RSS], &subject[PROC_STATUS]));
	bench_print_ratio(
		"local/PID/statm to tmpfs, as deep", ratio(place, &subject[LOCAL_STATM], &subject[TMPFS]));
	printf("the same with -o single, where each open and close is a request:\n");
	if (measure(place, &subject[SINGLE_STATM], N_ALL - N_READ))
		return -1;
	proc = &subject[PROC_AGAIN];
	*fine &= bench_reach("nodes/NODE/PID/statm to /proc/PID/statm",
		ratio(place, &subject[SINGLE_STATM], proc), true, 4);
	*fine &= bench_reach(
		"nodes/NODE/PID/rss to /proc/PID/statm", ratio(place, &subject[SINGLE_RSS], proc), true, 4);
	bench_print_ratio("local/PID/statm to /proc/PID/statm", ratio(place, &subject[SINGLE_LOCAL], proc));
	return 0;
}

static int bench_kept(const struct place *place, struct file file[N_ALL], bool *fine)
{
	static const int which[] = { LOCAL_STATM, LOCAL_RSS, TMPFS, PROC_STATM };
	struct bench_subject subject[4];

	for (int i = 0; i < 4; i++) {
		struct file *one = &file[which[i]];
		one->fd = open(one->path, O_RDONLY | O_CLOEXEC);
		subject[i] = (struct bench_subject) { one->path, pread_kept, one, { 0 } };
	}
	printf("pread of a descriptor kept open:\n");
	if (measure(place, subject, 4))
		return -1;
	*fine &= bench_reach("local/PID/statm to tmpfs", ratio(place, &subject[0], &subject[2]), true, 1.2);
	*fine &= bench_reach("local/PID/rss to tmpfs", ratio(place, &subject[1], &subject[2]), true, 1.2);
	for (int i = 0; i < 4; i++)
		close(file[which[i]].fd);

	static const int looked_at[] = { LOCAL_STATM, NODES_STATM, TMPFS };
	for (int i = 0; i < 3; i++)
		subject[i] = (struct bench_subject) { file[looked_at[i]].path, stat_file, &file[looked_at[i]],
			{ 0 } };
	printf("stat of a warm file:\n");
	if (measure(place, subject, 3))
		return -1;
	bench_print_ratio("local/PID/statm to tmpfs", ratio(place, &subject[0], &subject[2]));
	return 0;
}

/* Readers of one file at once, for one batch: calls a second of all together. */
static double throughput(struct file *file, unsigned readers, unsigned ms)
{
	pid_t pid[READERS_MAX];
	int ends[2];
	double total = 0, each;

	if (pipe2(ends, O_CLOEXEC))
		return 0;
	for (unsigned i = 0; i < readers; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			double us = 0, calls = 0;
			each = bench_run(open_read_close, file, ms, &us, &calls) ? 0 : calls * 1e6 / us;
			_exit(write(ends[1], &each, sizeof(each)) != sizeof(each));
		}
	}
	close(ends[1]);
	while (read(ends[0], &each, sizeof(each)) == sizeof(each))
		total += each;
	close(ends[0]);
	for (unsigned i = 0; i < readers; i++)
		waitpid(pid[i], NULL, 0);
	return total;
}

static void bench_throughput(const struct place *place, struct file file[N_ALL])
{
	static const int which[] = { LOCAL_STATM, TMPFS, PROC_STATM, SINGLE_STATM };
	double rate[4][BENCH_ROUNDS];

	printf("open+read+close by several readers of one file at once, calls a second of all:\n");
	for (unsigned readers = 1; readers <= READERS_MAX; readers += READERS_MAX - 1) {
		for (unsigned round = 0; round < place->rounds; round++) {
			for (int i = 0; i < 4; i++)
				rate[i][round] = throughput(&file[which[i]], readers, batch_ms(place));
		}
		for (int i = 0; i < 4; i++) {
			struct bench_stat stat = bench_stat(rate[i], place->rounds);
			printf("  %u of %-45s %10.0f    (%.0f..%.0f)\n", readers, file[which[i]].path,
				stat.median, stat.min, stat.max);
		}
		bench_print_ratio("local/PID/statm to tmpfs", bench_ratio(rate[0], rate[1], place->rounds));
	}
}

/* Content that is rendered at each open, or asked for each time. */
static int bench_tables(const struct place *place)
{
	struct file file[] = { { .path = "memfs/why" }, { .path = "memfs/local/top/rss" },
		{ .path = "memfs/local/processes" }, { .path = "memfs/local/config" },
		{ .path = "memfs/local/stat" }, { .path = "/proc/meminfo" } };
	enum { N = sizeof(file) / sizeof(*file) };
	struct bench_subject subject[N];

	for (int i = 0; i < N; i++)
		subject[i] = (struct bench_subject) { file[i].path, open_read_close, &file[i], { 0 } };
	printf("open+read+close of tables (why, top/rss, processes), a setting (config), the machine's numbers:\n");
	if (measure(place, subject, N))
		return -1;
	bench_print_ratio("why to /proc/meminfo", ratio(place, &subject[0], &subject[N - 1]));
	bench_print_ratio("config to /proc/meminfo", ratio(place, &subject[3], &subject[N - 1]));
	bench_print_ratio("stat to /proc/meminfo", ratio(place, &subject[4], &subject[N - 1]));
	return 0;
}

static int await_lxcfs(const char *path)
{
	for (int i = 0; i < 500; i++) {
		const struct timespec pause = { 0, 10000000 };
		if (!access(path, R_OK))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static int bench_lxcfs(const struct place *place, bool *fine)
{
	static const char program[] = "/usr/bin/lxcfs";
	struct file file[] = { { .path = "memfs/local/meminfo" }, { .path = "lxcfs/proc/meminfo" },
		{ .path = "/proc/meminfo" } };
	struct bench_subject subject[3];
	/* Its own directories, which it leaves behind. */
	static const char *const left[] = { "/run/lxcfs/controllers", "/run/lxcfs/root", "/run/lxcfs" };
	bool was_here = !access("/run/lxcfs", F_OK);
	char mount_dir[64], pid_file[64];
	int r;

	if (access(program, X_OK) || mkdir("lxcfs", 0755)) {
		printf("lxcfs is not here\n");
		return 0;
	}
	snprintf(mount_dir, sizeof(mount_dir), "%s/lxcfs", place->dir);
	snprintf(pid_file, sizeof(pid_file), "%s/lxcfs.pid", place->dir);
	pid_t pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(program, program, "-f", "-p", pid_file, mount_dir, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 3; i++)
		subject[i] = (struct bench_subject) { file[i].path, open_read_close, &file[i], { 0 } };
	r = await_lxcfs(file[1].path);
	if (r) {
		printf("lxcfs does not mount here\n");
		r = 0;
	} else {
		printf("open+read+close of meminfo:\n");
		r = measure(place, subject, 3);
		if (!r)
			*fine &= bench_reach(
				"lxcfs to local/meminfo", ratio(place, &subject[1], &subject[0]), false, 60);
	}
	umount2("lxcfs", MNT_DETACH);
	place_end(pid);
	for (size_t i = 0; !was_here && i < sizeof(left) / sizeof(*left); i++)
		rmdir(left[i]);
	return r;
}

/* Each call timed by itself, the clock included: the median and the 90th of 100 within a batch. */
static int time_each(struct file *file, unsigned ms, double *samples, double *ret_p50, double *ret_p90)
{
	int64_t begin = clock_monotonic_ns(), end = begin + (int64_t)ms * 1000000;
	size_t n = 0;

	while (begin < end && n < SAMPLES) {
		int r = open_read_close(file);
		if (r)
			return r;
		int64_t now = clock_monotonic_ns();
		samples[n++] = (double)(now - begin) / 1000;
		begin = now;
	}
	qsort(samples, n, sizeof(*samples), bench_compare);
	*ret_p50 = samples[n / 2];
	*ret_p90 = samples[n * 9 / 10];
	return 0;
}

static int bench_freshness(const struct place *place, pid_t pid)
{
	static const char *const name[] = { "memfs1000", "memfs", "memfs10" };
	static const unsigned ms[] = { 1000, 100, 10 };
	CLEANUP_FREE double *samples = malloc(SAMPLES * sizeof(*samples));

	if (!samples || place_mount(place, name[0], "freshness_ms=1000") ||
		place_mount(place, name[2], "freshness_ms=10"))
		return -1;
	printf("open+read+close of local/PID/statm by freshness_ms, a batch as long as that, 100 ms at least:\n");
	for (int i = 0; i < 3; i++) {
		struct file file[2];
		double mean[2][BENCH_ROUNDS], p50[2][BENCH_ROUNDS], p90[2][BENCH_ROUNDS];
		unsigned batch = place->quick ? BATCH_QUICK_MS : ms[i] < BATCH_MS ? BATCH_MS : ms[i];

		snprintf(file[0].path, sizeof(file[0].path), "%s/local/%d/statm", name[i], (int)pid);
		snprintf(file[1].path, sizeof(file[1].path), "/proc/%d/statm", (int)pid);
		for (unsigned round = 0; round < place->rounds; round++) {
			for (int k = 0; k < 2; k++) {
				double us = 0, calls = 0;
				int r = bench_run(open_read_close, &file[k], batch, &us, &calls);
				mean[k][round] = us / calls;
				if (!r)
					r = time_each(
						&file[k], batch, samples, &p50[k][round], &p90[k][round]);
				if (r) {
					fprintf(stderr, "%s: %s\n", file[k].path, strerror(-r));
					return -1;
				}
			}
		}
		printf("  freshness_ms %u\n", ms[i]);
		bench_print("mean", bench_stat(mean[0], place->rounds));
		bench_print("median call", bench_stat(p50[0], place->rounds));
		bench_print("p90 call", bench_stat(p90[0], place->rounds));
		bench_print_ratio("mean to /proc/PID/statm", bench_ratio(mean[0], mean[1], place->rounds));
		bench_print_ratio("p90 call to /proc/PID/statm", bench_ratio(p90[0], p90[1], place->rounds));
	}
	return 0;
}

static int run(const struct place *place)
{
	struct file file[N_ALL];
	bool fine = true;
	pid_t pid = place_sleeper();

	if (pid < 0 || place_mount(place, "memfs", NULL) || place_mount(place, "single", "single") ||
		place_tmpfs("tmpfs"))
		return 1;
	name_files(file, pid);
	if (copy_to_tmpfs(pid, "statm") || compare_bytes(file[LOCAL_STATM].path, file[PROC_STATM].path) ||
		compare_bytes(file[SINGLE_STATM].path, file[PROC_STATM].path) ||
		bench_reads(place, file, &fine) || bench_kept(place, file, &fine))
		return 1;
	bench_throughput(place, file);
	if (bench_tables(place) || bench_lxcfs(place, &fine) || bench_freshness(place, pid))
		return 1;
	place_end(pid);
	/* A short run says only that everything runs. */
	return fine || place->quick ? 0 : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
