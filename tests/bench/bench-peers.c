/* SPDX-License-Identifier: MIT */
/*
 * What it costs to watch 10,000 sleeping processes once a second (--quick: 300): memfs with either sweep,
 * and others that people use for it, as Debian has them. Each gets its turn in each round: it is started,
 * settles, is watched for the same span, and is ended. A peer that is not installed is a row that says so.
 *
 * --only TEXT: those named so; --rounds N: of three.
 *
 * Counted are all processes of a peer: what they had of a processor, their Pss at the end, and what was
 * written to disk. Who cannot keep up has less of a processor a second than it needs for a sample. What an
 * exporter tells is stored by others: its bytes are those of a scrape, in parentheses, and what asks it is
 * not counted. Peers listen on the loopback alone, or on a socket here.
 */
#include <dirent.h>

#include "tests/bench/cost.h"
#include "tests/bench/place.h"
#include "tests/bench/scrape.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 300,
	ROUNDS = 3,
	ROUNDS_QUICK = 1,
	SETTLE_MS = 4000,
	SETTLE_MEMFS_MS = 65000, /* rates over a minute, of processes that are all young to it */
	SETTLE_QUICK_MS = 1500,
	SPAN_MS = 20000,
	SPAN_QUICK_MS = 3000,
	DISK_SPAN_MS = 60000, /* memfs packs by the minute */
	READY_TRIES = 600,
	ROOTS = 2,
};

/* A peer at work. */
struct run {
	pid_t root[ROOTS]; /* its processes are these and what they start; 0: none */
	bool memfs;
	int port;            /* it is asked there once a second; 0: it is not asked */
	size_t scrape_bytes; /* of the last answer */
	unsigned scrapes;
};

struct peer {
	const char *what;
	const char *program; /* what must be there; NULL: memfs */
	int (*start)(const struct place *place, struct run *run);
	/* Prints how many samples there are by now; in the directory of the peer. NULL: the bench counts. */
	const char *count;
	const char *knows;
};

struct result {
	unsigned rounds; /* that it was measured in */
	bool stored;
	double cpu_percent[BENCH_ROUNDS], sample_ms[BENCH_ROUNDS], pss_mib[BENCH_ROUNDS],
		sample_bytes[BENCH_ROUNDS], interval_s[BENCH_ROUNDS];
};

/* --- starting them --- */

/* Where a peer works and what it writes is counted. */
static const char work_dir[] = "peer";

/* A child that dies with the bench, in the directory of the peer, its output there in NAME. */
static pid_t spawn(const char *output, const char *const *argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chdir(work_dir))
		_exit(126);
	int out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = open("../peer.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (out < 0 || err < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Forgets it where it has ended: the pid may be another's then. */
static bool ended(pid_t *pid)
{
	if (*pid > 0 && !waitpid(*pid, NULL, WNOHANG))
		return false;
	*pid = 0;
	return true;
}

/* Writes a file of a peer's settings. */
static int put_file(const char *path, const char *text)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");
	return file && fputs(text, file) >= 0 && !fflush(file) ? 0 : -1;
}

/* A port of the loopback that nobody has. */
static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
		getsockname(fd, (struct sockaddr *)&address, &len))
		return 0;
	return ntohs(address.sin_port);
}

static int start_memfs(const struct place *place, struct run *run, const char *sweep)
{
	char option[32], text[4096], chosen[32] = "";

	snprintf(option, sizeof(option), "sweep=%s", sweep);
	run->memfs = true;
	if (place_mount_ready(place, "memfs", option))
		return -1;
	place_read("memfs/status", text, sizeof(text));
	const char *line = strstr(text, "\nsweep ");
	if (!line || sscanf(line, " sweep %31s", chosen) != 1 || strcmp(chosen, sweep) != 0)
		return -1;
	run->root[0] = cost_memfs_pid("memfs.run", "supervisor");
	return run->root[0] ? 0 : -1;
}

static int start_memfs_bpf(const struct place *place, struct run *run)
{
	return start_memfs(place, run, "bpf");
}

static int start_memfs_portable(const struct place *place, struct run *run)
{
	return start_memfs(place, run, "portable");
}

static int start_atop(struct run *run, const char *how, const char *what)
{
	const char *const argv[] = { "/usr/bin/atop", how, what, "1", NULL };

	run->root[0] = spawn("out", argv);
	return 0;
}

static int start_atop_lines(const struct place *place, struct run *run)
{
	return start_atop(run, "-P", "PRM");
}

static int start_atop_raw(const struct place *place, struct run *run)
{
	return start_atop(run, "-w", "raw");
}

/*
 * The daemon with its agent for processes, and a logger of as much as memfs records. All that the agent
 * has takes it longer than the daemon waits for an answer.
 */
static int start_pcp(const struct place *place, struct run *run)
{
	static const char daemon_conf[] = "pmcd 2 dso pmcd_init /var/lib/pcp/pmdas/pmcd/pmda_pmcd.so\n"
					  "proc 3 pipe binary /var/lib/pcp/pmdas/proc/pmdaproc -d 3\n"
					  "[access]\nallow \"local:*\" : all;\n";
	static const char logger_conf[] =
		"log mandatory on 1 second { proc.nprocs proc.memory.vmsize proc.memory.vmrss "
		"proc.memory.vmdata proc.memory.vmstack proc.memory.vmexe proc.memory.vmlib "
		"proc.memory.vmswap proc.memory.vmhwm proc.memory.share proc.psinfo.minflt "
		"proc.psinfo.maj_flt }\n";
	char port[16], host[64], socket_path[48];
	const char *const names[] = { "/usr/lib/pcp/bin/pmnsmerge", "-f", "/var/lib/pcp/pmns/root_pmcd",
		"/var/lib/pcp/pmns/root_proc", "peer.pmns", NULL };
	const char *const daemon[] = { "/usr/lib/pcp/bin/pmcd", "-f", "-A", "-U", "root", "-i", "127.0.0.1",
		"-p", port, "-s", socket_path, "-c", "../peer.pmcd", "-n", "../peer.pmns", "-t", "60", "-l",
		"../peer.log", NULL };
	const char *const probe[] = { "sh", "-c", "pminfo -h \"$0\" -f proc.nprocs >/dev/null 2>&1", host,
		NULL };
	const char *const logger[] = { "/usr/bin/pmlogger", "-L", "-c", "../peer.pmlogger", "-h", host, "-l",
		"../peer.log", "archive", NULL };

	setenv("PCP_RUN_DIR", place->dir, 1);
	setenv("PCP_TMP_DIR", place->dir, 1);
	setenv("PCP_LOG_DIR", place->dir, 1);
	snprintf(port, sizeof(port), "%d", free_port());
	snprintf(socket_path, sizeof(socket_path), "%s/peer.sock", place->dir);
	snprintf(host, sizeof(host), "unix:%s", socket_path);
	if ((mkdir("pmlogger", 0700) && errno != EEXIST) || put_file("peer.pmcd", daemon_conf) ||
		put_file("peer.pmlogger", logger_conf) || place_run(names))
		return -1;
	run->root[0] = spawn("../peer.out", daemon);
	for (int tries = 0; place_run(probe); tries++) {
		if (tries == READY_TRIES || ended(&run->root[0]))
			return -1;
		place_pause_ms(100);
	}
	run->root[1] = spawn("../peer.out", logger);
	return 0;
}

static int start_exporter(struct run *run, const char *const *argv)
{
	run->root[0] = spawn("../peer.out", argv);
	for (int tries = 0; !scrape(run->port); tries++) {
		if (tries == READY_TRIES || ended(&run->root[0]))
			return -1;
		place_pause_ms(100);
	}
	return 0;
}

static int start_process_exporter(const struct place *place, struct run *run)
{
	static const char each[] = "process_names:\n  - name: \"{{.PID}}\"\n    cmdline:\n    - '.+'\n";
	char listen[64];
	const char *const argv[] = { "/usr/bin/prometheus-process-exporter", listen, "--config.path",
		"../peer.conf", "--threads=false", "--gather-smaps=false", NULL };

	run->port = free_port();
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", run->port);
	return put_file("peer.conf", each) ? -1 : start_exporter(run, argv);
}

static int start_node_exporter(const struct place *place, struct run *run)
{
	char listen[64];
	const char *const argv[] = { "/usr/bin/prometheus-node-exporter", listen,
		"--collector.disable-defaults", "--collector.processes", "--collector.meminfo", NULL };

	run->port = free_port();
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", run->port);
	return start_exporter(run, argv);
}

static int start_pidstat(const struct place *place, struct run *run)
{
	static const char *const argv[] = { "/usr/bin/pidstat", "-r", "-h", "-p", "ALL", "1", NULL };

	run->root[0] = spawn("out", argv);
	return 0;
}

static int start_psutil(const struct place *place, struct run *run)
{
	static const char loop[] = "import psutil, time\n"
				   "due = time.monotonic()\n"
				   "while True:\n"
				   "    print('SEP', time.time())\n"
				   "    for process in psutil.process_iter():\n"
				   "        try:\n"
				   "            print(process.pid, *process.memory_info())\n"
				   "        except psutil.Error:\n"
				   "            pass\n"
				   "    due = max(due + 1, time.monotonic())\n"
				   "    time.sleep(max(0, due - time.monotonic()))\n";
	static const char *const argv[] = { "/usr/bin/python3", "-c", loop, NULL };

	run->root[0] = spawn("out", argv);
	return 0;
}

static const struct peer peers[] = {
	{ "memfs, BPF sweep", NULL, start_memfs_bpf, NULL,
		"rss vms shared text data anon file shmem swap lib peak faults, their rates, how each ended" },
	{ "memfs, portable sweep", NULL, start_memfs_portable, NULL, "the same" },
	{ "atop -P PRM 1", "/usr/bin/atop", start_atop_lines, "grep -c ^SEP out",
		"vsize rsize text lib data stack swap lock, growth, faults; ends between samples missed" },
	{ "atop -w FILE 1", "/usr/bin/atop", start_atop_raw, "atop -r raw -P MEM | grep -c ^SEP",
		"the same, and processor, disk, states of threads" },
	{ "pmlogger, pmcd, pmdaproc", "/usr/bin/pmlogger", start_pcp,
		"pmdumplog archive proc.nprocs | grep -c value",
		"what is asked: here 9 figures of memory, faults" },
	{ "prometheus-process-exporter", "/usr/bin/prometheus-process-exporter", start_process_exporter, NULL,
		"resident virtual swapped, faults, processor, io, descriptors, threads" },
	{ "prometheus-node-exporter", "/usr/bin/prometheus-node-exporter", start_node_exporter, NULL,
		"nothing of one: how many in which state" },
	{ "pidstat -r -p ALL 1", "/usr/bin/pidstat", start_pidstat, "grep -c '^# *Time' out",
		"vsz rss %mem, faults a second" },
	{ "psutil memory_info in a loop", "/usr/lib/python3/dist-packages/psutil/__init__.py", start_psutil,
		"grep -c ^SEP out", "rss vms shared text lib data dirty" },
};
enum { N_PEERS = sizeof(peers) / sizeof(*peers) };

/* --- measuring --- */

static struct cost cost_of(const struct run *run)
{
	struct cost cost = { 0 };

	for (int i = 0; i < ROOTS; i++)
		if (run->root[i] > 0)
			cost_add_tree(run->root[i], &cost);
	return cost;
}

/* Bytes of disk below the directory that is there now. */
static double used_bytes(const char *dir)
{
	double bytes = 0;
	struct dirent *entry;
	struct stat st;
	CLEANUP_CLOSEDIR DIR *open_dir = opendir(dir);

	while (open_dir && (entry = readdir(open_dir)))
		if (!fstatat(dirfd(open_dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			bytes += (double)st.st_blocks * 512;
	return bytes;
}

static void cleanup_pclose(FILE **file)
{
	if (*file)
		pclose(*file);
}

static double count_samples(const struct peer *peer, const struct run *run)
{
	char text[4096] = "";
	unsigned long n = 0;

	if (run->memfs) {
		place_read("memfs/status", text, sizeof(text));
		const char *line = strstr(text, "\ngeneration ");
		return line && sscanf(line, " generation %lu", &n) == 1 ? (double)n : 0;
	}
	if (!peer->count)
		return run->scrapes;
	snprintf(text, sizeof(text), "cd %s && %s", work_dir, peer->count);
	CLEANUP(cleanup_pclose) FILE *answer = popen(text, "re");
	return answer && fscanf(answer, "%lu", &n) == 1 ? (double)n : 0;
}

/* Lets time pass, and asks once a second whom to ask. */
static void pass(struct run *run, unsigned ms)
{
	int64_t now = clock_monotonic_ns(), end = now + (int64_t)ms * 1000000, due = now;

	while (run->port && due < end) {
		run->scrape_bytes = scrape(run->port);
		run->scrapes += run->scrape_bytes > 0;
		now = clock_monotonic_ns();
		due += 1000000000;
		if (due > now)
			place_pause_ms((unsigned)((due - now) / 1000000));
		else
			due = now;
	}
	now = clock_monotonic_ns();
	if (now < end)
		place_pause_ms((unsigned)((end - now) / 1000000));
}

static bool alive(struct run *run)
{
	for (int i = 0; i < ROOTS; i++)
		if (run->root[i] && !run->memfs && ended(&run->root[i]))
			return false;
	return true;
}

static int watch(const struct place *place, const struct peer *peer, struct run *run, struct result *result)
{
	unsigned span_ms = place->quick ? SPAN_QUICK_MS : SPAN_MS, round = result->rounds;
	const char *disk = run->memfs ? "memfs.state" : work_dir;

	pass(run, place->quick ? SETTLE_QUICK_MS : run->memfs ? SETTLE_MEMFS_MS : SETTLE_MS);
	double n_before = count_samples(peer, run), bytes_before = used_bytes(disk);
	int64_t begin = clock_monotonic_ns();
	struct cost before = cost_of(run);
	pass(run, span_ms);
	struct cost after = cost_of(run);
	double elapsed_s = (double)(clock_monotonic_ns() - begin) / 1e9;
	double n = count_samples(peer, run) - n_before, n_disk = n;
	if (!alive(run) || n < 1)
		return -1;
	if (run->memfs && !place->quick) {
		pass(run, DISK_SPAN_MS - span_ms);
		n_disk = count_samples(peer, run) - n_before;
	}
	result->stored = !run->port;
	result->cpu_percent[round] = (after.cpu_s - before.cpu_s) / elapsed_s * 100;
	result->sample_ms[round] = (after.cpu_s - before.cpu_s) * 1e3 / n;
	result->pss_mib[round] = (double)after.pss_bytes / (1 << 20);
	result->sample_bytes[round] =
		run->port ? (double)run->scrape_bytes : (used_bytes(disk) - bytes_before) / n_disk;
	result->interval_s[round] = elapsed_s / n;
	result->rounds++;
	return 0;
}

/* What it started ends with it, if it is let. */
static int end_peer(const struct place *place, struct run *run)
{
	for (int i = ROOTS - 1; i >= 0 && !run->memfs; i--) {
		if (run->root[i] > 0)
			kill(run->root[i], SIGTERM);
		for (int tries = 0; tries < 30 && !ended(&run->root[i]); tries++)
			place_pause_ms(100);
		place_end(run->root[i]);
	}
	if (run->memfs && (place_umount(place, "memfs") ||
				  nftw("memfs.state", place_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT)))
		return -1;
	return nftw(work_dir, place_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* One turn. A peer that cannot be had is none the worse for the others. */
static int one_turn(const struct place *place, const struct peer *peer, struct result *result)
{
	struct run run = { 0 };

	if (mkdir(work_dir, 0755))
		return -1;
	bool measured = !peer->start(place, &run) && !watch(place, peer, &run, result);
	if (!measured)
		fprintf(stderr, "%s: cannot be measured\n", peer->what);
	return end_peer(place, &run);
}

static void report(const struct peer *peer, const struct result *result)
{
	unsigned n = result->rounds;
	char bytes[32], hour[32];

	if (!n) {
		printf("%-28s %s\n", peer->what,
			peer->program && access(peer->program, R_OK) ? "not installed" : "not measured");
		return;
	}
	struct bench_stat cpu = bench_stat(result->cpu_percent, n);
	double sample = bench_stat(result->sample_bytes, n).median;
	double interval = bench_stat(result->interval_s, n).median;
	snprintf(bytes, sizeof(bytes), result->stored ? "%.0f" : "(%.0f)", sample / 1e3);
	snprintf(hour, sizeof(hour), result->stored ? "%.0f" : "-", sample / 1e6 * 3600 / interval);
	printf("%-28s %6.2f (%.2f..%.2f) %9.0f %8.1f %10s %8s %6.2f  %s\n", peer->what, cpu.median, cpu.min,
		cpu.max, bench_stat(result->sample_ms, n).median, bench_stat(result->pss_mib, n).median,
		bytes, hour, interval, peer->knows);
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	unsigned rounds = place_rounds(place, ROUNDS, ROUNDS_QUICK);
	CLEANUP_FREE struct result *results = calloc(N_PEERS, sizeof(*results));

	/* Process accounting is a switch of the whole machine, which atop would turn. */
	setenv("ATOPACCT", "", 1);
	if (!results || place_sleepers(n, NULL))
		return 1;
	for (unsigned round = 0; round < rounds; round++)
		for (size_t i = 0; i < N_PEERS; i++) {
			if (place->only && !strstr(peers[i].what, place->only))
				continue;
			if (peers[i].program && access(peers[i].program, R_OK))
				continue;
			if (one_turn(place, &peers[i], &results[i]))
				return 1;
		}
	printf("%zu sleeping processes, watched once a second\n", n);
	printf("%-28s %6s %16s %9s %8s %10s %8s %6s  %s\n", "", "% of a", "core", "ms/sample", "Pss MiB",
		"kB/sample", "MB/hour", "s", "knows of each");
	for (size_t i = 0; i < N_PEERS; i++)
		if (!place->only || strstr(peers[i].what, place->only))
			report(&peers[i], &results[i]);
	return 0;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
