/* SPDX-License-Identifier: MIT */
/*
 * The control channel between two processes, as in life, against the least that could do the same: a bare
 * SEQPACKET ping-pong of datagrams of the same lengths, and for long answers memcpy through a mapping that
 * such a ping-pong hands over. Medians of interleaved rounds with their extremes. --quick: few rounds; --soak
 * SECONDS.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/control/control_server.h"
#include "fs/control_client.h"
#include "schema/base/clock.h"

enum { ROUNDS_MAX = 64, TIMEOUT_MS = 10000, BIG = CONTROL_SEGMENT, REQUEST = 8, ANSWER = 8 };

/* What a side used and holds. */
struct usage {
	double user_s, kernel_s;
	long resident_kib, fds;
};

struct bench {
	unsigned rounds;
	double soak_s;
	char dir[40], path[64];
	int listen_fd, bare_fd;
	pid_t bare_pid, server_pid;
	char *source, *sink, *mapping; /* the mapping is shared with the bare server */
	struct control_client *client;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "bench-control: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static struct usage usage_now(void)
{
	struct rusage self;
	getrusage(RUSAGE_SELF, &self);
	struct usage usage = { (double)self.ru_utime.tv_sec + (double)self.ru_utime.tv_usec / 1e6,
		(double)self.ru_stime.tv_sec + (double)self.ru_stime.tv_usec / 1e6, 0, 0 };
	FILE *file = fopen("/proc/self/statm", "r");
	long size;
	if (file && fscanf(file, "%ld %ld", &size, &usage.resident_kib) == 2)
		usage.resident_kib *= sysconf(_SC_PAGESIZE) / 1024;
	if (file)
		fclose(file);
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		usage.fds++;
	if (dir)
		closedir(dir);
	return usage;
}

/* CONFIG answers as many bytes as the payload says, MEASURE what the server used so far. */
static void handle(void *ctx, struct control_call *call)
{
	struct bench *bench = ctx;
	uint64_t size = 0;
	if (call->op == CONTROL_OP_MEASURE) {
		struct usage usage = usage_now();
		control_call_answer(call, CONTROL_OK, 0, &usage, sizeof(usage));
		return;
	}
	memcpy(&size, call->payload.p, sizeof(size));
	control_call_answer(call, CONTROL_OK, 0, bench->source, size);
}

/* The collector's loop, as bare as it can be. */
static void serve(struct bench *bench)
{
	struct control_server *server;
	int r = control_server_new(bench->listen_fd, getuid(), handle, bench, &server);
	if (r < 0)
		die("serving", r);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, control_server_fd(server), &event);
	for (;;)
		if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
			control_server_dispatch(server);
}

/* Byte 0 of a ping: whether the mapping is to be filled before the pong. */
static void serve_bare(const struct bench *bench, int fd)
{
	char datagram[sizeof(struct control_request) + REQUEST];
	while (recv(fd, datagram, sizeof(datagram), 0) > 0) {
		if (datagram[0])
			memcpy(bench->mapping, bench->source, BIG);
		send(fd, datagram, sizeof(struct control_answer) + ANSWER, MSG_NOSIGNAL);
	}
}

static pid_t fork_server(struct bench *bench, int bare_fd)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bare_fd >= 0)
		serve_bare(bench, bare_fd);
	else
		serve(bench);
	_exit(0);
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) < 0)
		die("sched_setaffinity", errno);
}

static void bare(struct bench *bench, unsigned n, bool big)
{
	char datagram[sizeof(struct control_request) + REQUEST] = { (char)big };
	for (unsigned i = 0; i < n; i++) {
		if (send(bench->bare_fd, datagram, sizeof(datagram), MSG_NOSIGNAL) < 0 ||
			recv(bench->bare_fd, datagram, sizeof(datagram), 0) <= 0)
			die("ping-pong", errno);
		if (big)
			memcpy(bench->sink, bench->mapping, BIG);
	}
}

static int copy_part(void *ctx, const void *bytes, size_t len, uint64_t offset, uint64_t total)
{
	memcpy((char *)ctx + offset, bytes, len);
	return 0;
}

static void ask(struct control_client *client, uint64_t size, struct control_reply *reply, char *sink)
{
	struct control_ask request = { .op = CONTROL_OP_CONFIG,
		.payload = { (const char *)&size, sizeof(size) },
		.visit = sink ? copy_part : NULL,
		.visit_ctx = sink };
	int r = control_client_call(client, &request, reply, TIMEOUT_MS, NULL);
	if (r < 0 || reply->status != CONTROL_OK || (!sink && reply->bytes.len != size))
		die("call", r < 0 ? r : EBADMSG);
}

static struct usage usage_of_server(struct bench *bench)
{
	struct control_reply reply = CONTROL_REPLY_INIT;
	struct control_ask request = { .op = CONTROL_OP_MEASURE };
	struct usage usage;
	int r = control_client_call(bench->client, &request, &reply, TIMEOUT_MS, NULL);
	if (r < 0 || reply.bytes.len != sizeof(usage))
		die("usage", r);
	memcpy(&usage, reply.bytes.data, sizeof(usage));
	control_reply_deinit(&reply);
	return usage;
}

struct series {
	double value[ROUNDS_MAX];
	unsigned n;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(struct series *series)
{
	qsort(series->value, series->n, sizeof(double), by_value);
	return series->value[series->n / 2];
}

static void print_row(const char *what, struct series *series, double scale, const char *unit)
{
	double middle = median(series);
	printf("  %-42s %10.2f %-6s [%.2f .. %.2f]\n", what, middle * scale, unit, series->value[0] * scale,
		series->value[series->n - 1] * scale);
}

static double seconds_since(int64_t begin_ns)
{
	return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

static void small(struct bench *bench, const char *name, int server_cpu, unsigned n)
{
	pin(0, 0);
	pin(bench->bare_pid, server_cpu);
	pin(bench->server_pid, server_cpu);
	struct series base = { 0 }, ours = { 0 }, ratio = { 0 };
	struct control_reply reply = CONTROL_REPLY_INIT;
	for (unsigned round = 0; round < bench->rounds + 1; round++) {
		int64_t begin_ns = clock_monotonic_ns();
		bare(bench, n, false);
		double bare_s = seconds_since(begin_ns) / n;
		begin_ns = clock_monotonic_ns();
		for (unsigned i = 0; i < n; i++)
			ask(bench->client, ANSWER, &reply, NULL);
		double ours_s = seconds_since(begin_ns) / n;
		if (round == 0)
			continue; /* to get warm */
		base.value[base.n++] = bare_s;
		ours.value[ours.n++] = ours_s;
		ratio.value[ratio.n++] = ours_s / bare_s;
	}
	control_reply_deinit(&reply);
	printf("(a) small requests, client and server %s\n", name);
	print_row("bare ping-pong, round trip", &base, 1e6, "us");
	print_row("control call, round trip", &ours, 1e6, "us");
	printf("  %-42s %10.0f /s     (bare %.0f /s)\n", "control calls", 1 / median(&ours),
		1 / median(&base));
	print_row("ratio (target <= 1.3)", &ratio, 1, "x");
}

static void big(struct bench *bench, const char *name, int server_cpu, unsigned n)
{
	pin(0, 0);
	pin(bench->bare_pid, server_cpu);
	pin(bench->server_pid, server_cpu);
	struct series base = { 0 }, in_place = { 0 }, copied = { 0 }, ratio = { 0 };
	struct control_reply reply = CONTROL_REPLY_INIT;
	for (unsigned round = 0; round < bench->rounds + 1; round++) {
		int64_t begin_ns = clock_monotonic_ns();
		bare(bench, n, true);
		double bare_s = seconds_since(begin_ns) / n;
		begin_ns = clock_monotonic_ns();
		for (unsigned i = 0; i < n; i++)
			ask(bench->client, BIG, &reply, bench->sink);
		double visit_s = seconds_since(begin_ns) / n;
		begin_ns = clock_monotonic_ns();
		for (unsigned i = 0; i < n; i++)
			ask(bench->client, BIG, &reply, NULL);
		double copy_s = seconds_since(begin_ns) / n;
		if (round == 0)
			continue;
		base.value[base.n++] = BIG / bare_s;
		in_place.value[in_place.n++] = BIG / visit_s;
		copied.value[copied.n++] = BIG / copy_s;
		ratio.value[ratio.n++] = bare_s / visit_s;
	}
	control_reply_deinit(&reply);
	printf("(c) answers of 1 MiB, client and server %s\n", name);
	print_row("memcpy through a shared mapping", &base, 1e-6, "MB/s");
	print_row("control call, copied by a visitor", &in_place, 1e-6, "MB/s");
	print_row("control call, into the reply", &copied, 1e-6, "MB/s");
	print_row("ratio of the visitor (target >= 0.8)", &ratio, 1, "x");
}

struct requester {
	struct bench *bench;
	unsigned n;
};

static void *request_loop(void *ctx)
{
	const struct requester *requester = ctx;
	struct control_reply reply = CONTROL_REPLY_INIT;
	for (unsigned i = 0; i < requester->n; i++)
		ask(requester->bench->client, ANSWER, &reply, NULL);
	control_reply_deinit(&reply);
	return NULL;
}

static void stress(struct bench *bench, unsigned n_threads, unsigned n_total)
{
	struct series rate = { 0 };
	struct requester requester = { bench, n_total / n_threads };
	unsigned rounds = bench->rounds;
	struct usage server = usage_of_server(bench), client = usage_now();
	for (unsigned round = 0; round < rounds; round++) {
		pthread_t threads[100];
		int64_t begin_ns = clock_monotonic_ns();
		for (unsigned i = 0; i < n_threads; i++)
			pthread_create(&threads[i], NULL, request_loop, &requester);
		for (unsigned i = 0; i < n_threads; i++)
			pthread_join(threads[i], NULL);
		rate.value[rate.n++] = requester.n * n_threads / seconds_since(begin_ns);
	}
	struct usage server_end = usage_of_server(bench), client_end = usage_now();
	double calls = (double)requester.n * n_threads * rounds / 1e6;
	double middle = median(&rate);
	printf("  %10u %10.0f [%.0f .. %.0f] %9.2f %9.2f %9.2f %9.2f\n", n_threads, middle, rate.value[0],
		rate.value[rate.n - 1], (client_end.user_s - client.user_s) / calls,
		(client_end.kernel_s - client.kernel_s) / calls, (server_end.user_s - server.user_s) / calls,
		(server_end.kernel_s - server.kernel_s) / calls);
}

static void soak(struct bench *bench)
{
	static const uint64_t sizes[] = { 0, 8, 300, 4096, 4097, 70000, 1 << 20, (1 << 20) + 1, 5 << 20 };
	struct control_reply reply = CONTROL_REPLY_INIT;
	struct usage client = { 0 }, server = { 0 };
	unsigned long calls = 0;
	int64_t begin_ns = clock_monotonic_ns();
	while (seconds_since(begin_ns) < bench->soak_s) {
		ask(bench->client, sizes[calls % 9], &reply, calls % 2 ? bench->sink : NULL);
		if (++calls == 1000) {
			client = usage_now();
			server = usage_of_server(bench);
		}
	}
	struct usage client_end = usage_now(), server_end = usage_of_server(bench);
	control_reply_deinit(&reply);
	printf("(d) soak: %lu calls of 0 to 5 MiB in %.0f s\n", calls, bench->soak_s);
	printf("  client: RSS %ld -> %ld KiB, descriptors %ld -> %ld\n", client.resident_kib,
		client_end.resident_kib, client.fds, client_end.fds);
	printf("  server: RSS %ld -> %ld KiB, descriptors %ld -> %ld\n", server.resident_kib,
		server_end.resident_kib, server.fds, server_end.fds);
	if (client_end.fds > client.fds || server_end.fds > server.fds ||
		client_end.resident_kib > client.resident_kib + 1024 ||
		server_end.resident_kib > server.resident_kib + 1024)
		die("soak", EOVERFLOW);
}

static char *map_shared(size_t n)
{
	char *bytes = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		die("mmap", errno);
	memset(bytes, 1, n);
	return bytes;
}

static void start(struct bench *bench)
{
	strcpy(bench->dir, "/tmp/bench-control-XXXXXX");
	if (!mkdtemp(bench->dir))
		die("mkdtemp", errno);
	snprintf(bench->path, sizeof(bench->path), "%s/control.sock", bench->dir);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, bench->path);
	bench->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int pair[2];
	if (bind(bench->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(bench->listen_fd, 16) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		die("sockets", errno);
	bench->source = malloc(5 << 20);
	bench->sink = malloc(5 << 20);
	memset(bench->source, 2, 5 << 20);
	memset(bench->sink, 3, 5 << 20);
	bench->mapping = map_shared(BIG);
	bench->bare_fd = pair[0];
	bench->bare_pid = fork_server(bench, pair[1]);
	bench->server_pid = fork_server(bench, -1);
	close(pair[1]);
	int r = control_client_new(bench->path, &bench->client);
	if (r < 0)
		die("client", r);
}

static void finish(struct bench *bench)
{
	control_client_free(bench->client);
	kill(bench->bare_pid, SIGKILL);
	kill(bench->server_pid, SIGKILL);
	waitpid(bench->bare_pid, NULL, 0);
	waitpid(bench->server_pid, NULL, 0);
	close(bench->bare_fd);
	close(bench->listen_fd);
	unlink(bench->path);
	rmdir(bench->dir);
	munmap(bench->mapping, BIG);
	free(bench->source);
	free(bench->sink);
}

int main(int argc, char **argv)
{
	struct bench bench = { .rounds = 21, .soak_s = 20 };
	unsigned scale = 4;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick")) {
			bench.rounds = 5;
			bench.soak_s = 2;
			scale = 1;
		} else if (!strcmp(argv[i], "--soak") && i + 1 < argc) {
			bench.soak_s = atof(argv[++i]);
		} else {
			fprintf(stderr, "usage: bench-control [--quick] [--soak SECONDS]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	start(&bench);
	int other = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
	printf("medians of %u interleaved rounds [min .. max]\n", bench.rounds);
	small(&bench, "on one CPU", 0, 3000 * scale);
	small(&bench, "on two CPUs", other, 3000 * scale);
	pin(0, -1);
	pin(bench.bare_pid, -1);
	pin(bench.server_pid, -1);
	printf("(b) requesters, not pinned: calls/s [min .. max]; us of CPU a call\n");
	printf("  %10s %10s %18s %9s %9s %9s %9s\n", "requesters", "calls/s", "", "cli user", "cli kern",
		"srv user", "srv kern");
	static const unsigned threads[] = { 1, 2, 10, 50, 100 };
	for (unsigned i = 0; i < sizeof(threads) / sizeof(*threads); i++)
		stress(&bench, threads[i], 5000 * scale);
	big(&bench, "on one CPU", 0, 50 * scale);
	big(&bench, "on two CPUs", other, 50 * scale);
	pin(0, -1);
	pin(bench.server_pid, -1);
	soak(&bench);
	finish(&bench);
	return 0;
}
