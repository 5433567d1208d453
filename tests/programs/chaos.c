/* SPDX-License-Identifier: MIT */
/*
 * chaos MEMFS DIR RUN STATE KILLS [SEED]: kills the processes of a memfs that it mounts itself, at random
 * moments and in every order, while four readers go on; afterwards says what readers saw. Exit 1 where a read
 * failed, was torn, a recorded tick was lost, or something was left behind. The longest wait is printed,
 * never judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 4 };
enum victim { SERVE, COLLECTOR, SUPERVISOR, N_VICTIMS };
static const char *const victim_name[] = { "serve", "collector", "supervisor" };

struct chaos {
	const char *memfs, *dir, *run, *state;
	atomic_bool stop, paused;
	atomic_int pausing;
	_Atomic long long reads, failures, longest_ns;
	long long last_tick; /* newest second seen in history/10m */
	int lost_ticks;
};

static long long now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void nap_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	nanosleep(&ts, NULL);
}

/* Reads a file whole; -errno, or the length. */
static ssize_t read_file(const char *dir, const char *name, char *out, size_t cap)
{
	char path[512];
	size_t len = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) != 0) {
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		len += (size_t)n;
	}
	close(fd);
	out[len] = 0;
	return (ssize_t)len;
}

struct reader {
	struct chaos *chaos;
	const char *name;
};

static void *read_on(void *ctx)
{
	struct reader *reader = ctx;
	struct chaos *chaos = reader->chaos;
	char *text = malloc(16 << 20);

	while (!chaos->stop) {
		if (chaos->paused) {
			chaos->pausing++;
			while (chaos->paused && !chaos->stop)
				nap_us(1000);
			chaos->pausing--;
			continue;
		}
		long long began = now_ns(), took;
		ssize_t len = read_file(chaos->dir, reader->name, text, 16 << 20);
		took = now_ns() - began;
		if (len <= 0 || text[len - 1] != '\n' || memchr(text, 0, (size_t)len)) {
			chaos->failures++;
			if (chaos->failures <= 4)
				fprintf(stderr, "%s: %s\n", reader->name,
					len < 0 ? strerror((int)-len) : "torn or empty");
		}
		if (took > chaos->longest_ns)
			chaos->longest_ns = took;
		chaos->reads++;
	}
	free(text);
	return NULL;
}

static int run_memfs(const struct chaos *chaos, const char *command, const char *options)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (options)
			execl(chaos->memfs, "memfs", command, "-o", options, chaos->dir, (char *)NULL);
		execl(chaos->memfs, "memfs", command, chaos->dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int mount_it(const struct chaos *chaos)
{
	char options[1024];

	snprintf(options, sizeof(options), "run=%s,state=%s,node=chaos,interval_ms=200,log_level=3",
		chaos->run, chaos->state);
	return run_memfs(chaos, "mount", options);
}

/* Parent of a process, from /proc. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[1024];
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (read_file(path, "stat", text, sizeof(text)) > 0 && strrchr(text, ')'))
		sscanf(strrchr(text, ')'), ") %*c %d", &parent);
	return parent;
}

static pid_t find(const struct chaos *chaos, enum victim victim)
{
	char text[8192], *line;
	int pid = 0;

	if (read_file(chaos->run, "state", text, sizeof(text)) <= 0)
		return 0;
	line = strstr(text, victim == COLLECTOR ? "collector " : "serve ");
	if (!line || sscanf(line, "%*s %d", &pid) != 1 || pid <= 1)
		return 0;
	if (victim == SUPERVISOR) {
		pid = parent_of(pid);
		return pid > 1 ? pid : 0;
	}
	return pid;
}

static bool strike(const struct chaos *chaos, enum victim victim)
{
	pid_t pid = find(chaos, victim);
	return pid > 1 && !kill(pid, SIGKILL);
}

/* The newest recorded second; 0 where history cannot be read. Each reader of it is a reader more. */
static long long newest_tick(const struct chaos *chaos, long long wanted, bool *ret_has_wanted)
{
	char *text = malloc(4 << 20), *line, *save = NULL;
	long long newest = 0, second;

	if (read_file(chaos->dir, "local/history/10m", text, 4 << 20) > 0) {
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			if (sscanf(line, "%lld", &second) != 1)
				continue;
			newest = second;
			if (ret_has_wanted && second == wanted)
				*ret_has_wanted = true;
		}
	}
	free(text);
	return newest;
}

static void check_history(struct chaos *chaos)
{
	bool has = !chaos->last_tick;
	long long newest = newest_tick(chaos, chaos->last_tick, &has);

	if (!has) {
		chaos->lost_ticks++;
		fprintf(stderr, "the tick of %lld was recorded and is lost\n", chaos->last_tick);
	}
	if (newest)
		chaos->last_tick = newest;
}

static void pause_readers(struct chaos *chaos)
{
	chaos->paused = true;
	while (chaos->pausing < READERS)
		nap_us(500);
}

/* Everything dies in the given order: reads may fail then, but a new mount must work at once, nothing
 * stacked. */
static int kill_all(struct chaos *chaos, const enum victim order[N_VICTIMS])
{
	char text[64];
	pid_t pids[N_VICTIMS];
	int r;

	pause_readers(chaos);
	for (int i = 0; i < N_VICTIMS; i++)
		pids[i] = find(chaos, (enum victim)i);
	for (int i = 0; i < N_VICTIMS; i++) {
		if (pids[order[i]] > 1)
			kill(pids[order[i]], SIGKILL);
	}
	r = mount_it(chaos);
	if (!r && read_file(chaos->dir, "local/total", text, sizeof(text)) <= 0)
		r = -1;
	if (r)
		fprintf(stderr, "no new mount after killing %s %s %s: %d\n", victim_name[order[0]],
			victim_name[order[1]], victim_name[order[2]], r);
	chaos->paused = false;
	return r;
}

static int count_mounts(const char *dir)
{
	char line[8192], where[4096];
	int n = 0;
	FILE *file = fopen("/proc/self/mounts", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %4095s", where) == 1 && !strcmp(where, dir))
			n++;
	}
	if (file)
		fclose(file);
	return n;
}

int main(int argc, char **argv)
{
	static const enum victim orders[6][N_VICTIMS] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
		{ 2, 0, 1 }, { 2, 1, 0 } };
	static const char *const names[READERS] = { "local/total", "local/stat", "local/processes",
		"local/config" };
	struct chaos chaos = { 0 };
	struct reader readers[READERS];
	pthread_t threads[READERS];
	int kills, done = 0, bad = 0, n[N_VICTIMS] = { 0 };
	long long served_ns = 0; /* when serve was last killed */
	char live[512];

	if (argc < 6) {
		fprintf(stderr, "usage: chaos MEMFS DIR RUN STATE KILLS [SEED]\n");
		return 2;
	}
	chaos.memfs = argv[1];
	chaos.dir = argv[2];
	chaos.run = argv[3];
	chaos.state = argv[4];
	kills = atoi(argv[5]);
	unsigned seed = argc > 6 ? (unsigned)atoi(argv[6]) : (unsigned)now_ns();
	printf("seed %u\n", seed);
	srand(seed);
	/* What a killed supervisor leaves is ours to reap. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (mount_it(&chaos))
		return 1;
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader) { &chaos, names[i] };
		pthread_create(&threads[i], NULL, read_on, &readers[i]);
	}
	while (done < kills && !bad) {
		while (waitpid(-1, NULL, WNOHANG) > 0) {
			/* Gone. */
		}
		nap_us(rand() % 60000);
		if (done % 50 == 49) {
			bad = kill_all(&chaos, orders[rand() % 6]);
			done += N_VICTIMS;
			continue;
		}
		if (done % 10 == 0)
			check_history(&chaos);
		enum victim victim = (enum victim)(rand() % 8 < 4 ? SERVE
						   : rand() % 4   ? COLLECTOR
								  : SUPERVISOR);
		/* Nobody can keep a connection of which all holders die at once: that is for kill_all. */
		if (victim == SUPERVISOR && now_ns() - served_ns < 100000000)
			continue;
		if (!strike(&chaos, victim))
			continue;
		if (victim == SERVE)
			served_ns = now_ns();
		n[victim]++;
		done++;
		if (victim == SUPERVISOR && mount_it(&chaos)) {
			fprintf(stderr, "no new mount after the supervisor's death\n");
			bad = 1;
		}
	}
	check_history(&chaos);
	chaos.stop = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	snprintf(live, sizeof(live), "%s/live", chaos.run);
	if (count_mounts(chaos.dir) != 1 || count_mounts(live) != 1) {
		fprintf(stderr, "mounts are stacked: %d and %d\n", count_mounts(chaos.dir),
			count_mounts(live));
		bad = 1;
	}
	if (run_memfs(&chaos, "umount", NULL) || count_mounts(chaos.dir) || count_mounts(live)) {
		fprintf(stderr, "the mount cannot be taken down\n");
		bad = 1;
	}
	printf("kills %d (serve %d collector %d supervisor %d, the rest in threes)\nreads %lld\nfailed %lld\nlost_ticks %d\nlongest_wait_ms %.1f\n",
		done, n[SERVE], n[COLLECTOR], n[SUPERVISOR], chaos.reads, chaos.failures, chaos.lost_ticks,
		(double)chaos.longest_ns / 1e6);
	return bad || chaos.failures || chaos.lost_ticks;
}
