/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the control channel share: a server in a thread or a forked process, whose handler is
 * told by a request's payload what to answer, so that each answer can be told from every other.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/control/control_request.h"
#include "collector/control/control_server.h"
#include "fs/control_client.h"
#include "fs/control_link.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/control_segment.h"

enum { SOON_MS = 20000, WORKERS = 3, KEPT_MAX = 256 };

enum manner {
	AT_ONCE,
	LATER, /* by a worker, out of order */
	NEVER, /* kept until cancelled, or until the rig lets go */
	FAIL,  /* CONTROL_ERROR with `seed` as errno */
	WHO,   /* struct who */
	DIE,   /* the server's process kills itself, unless `seed` deaths have been */
	N_MANNERS,
};

/* The beginning of every payload; what follows is filling, which the answer's checksum covers. */
struct script {
	uint32_t manner, seed;
	uint64_t size; /* of the answer */
};

struct who {
	uint32_t uid, tgid, believed;
};

/* What a forked server and the test share. */
struct tally {
	atomic_uint deaths, handled, cancelled, held;
};

struct rig {
	char dir[32], path[64];
	int listen_fd, stop_fd;
	struct control_server *server;
	struct tally *tally;
	pthread_t loop, workers[WORKERS];
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct control_call *kept[KEPT_MAX];
	unsigned n_kept;
	bool stopping;
	pid_t pid; /* of a forked server */
};

/* Bytes of an answer: every position and seed has its own. */
static inline void fill(char *bytes, size_t n, uint32_t seed)
{
	uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (size_t i = 0; i < n; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		bytes[i] = (char)(x >> (i % 8 * 8));
	}
}

static inline uint32_t sum(const char *bytes, size_t n)
{
	uint32_t s = 2166136261u;
	for (size_t i = 0; i < n; i++)
		s = (s ^ (unsigned char)bytes[i]) * 16777619u;
	return s;
}

static inline void answer(struct control_call *call)
{
	struct script script;
	memcpy(&script, call->payload.p, sizeof(script));
	uint32_t seed = script.seed ^ sum(call->payload.p, call->payload.n);
	char *bytes = malloc(script.size + 1);
	fill(bytes, script.size, seed);
	control_call_answer(call, CONTROL_OK, 0, bytes, script.size);
	free(bytes);
}

static inline void keep(struct rig *rig, struct control_call *call)
{
	pthread_mutex_lock(&rig->lock);
	assert_true(rig->n_kept < KEPT_MAX);
	rig->kept[rig->n_kept++] = call;
	pthread_cond_signal(&rig->work);
	pthread_mutex_unlock(&rig->lock);
}

static inline void handle(void *ctx, struct control_call *call)
{
	struct rig *rig = ctx;
	struct script script;
	atomic_fetch_add(&rig->tally->handled, 1);
	if (call->payload.n < sizeof(script)) {
		control_call_answer(call, CONTROL_NOT_FOUND, 0, NULL, 0);
		return;
	}
	memcpy(&script, call->payload.p, sizeof(script));
	switch (script.manner) {
	case AT_ONCE:
		answer(call);
		break;
	case LATER:
	case NEVER:
		keep(rig, call);
		break;
	case FAIL:
		control_call_answer(call, CONTROL_ERROR, (int)script.seed, "because", 7);
		break;
	case WHO: {
		struct who who = { call->uid, (uint32_t)call->tgid, call->believed };
		control_call_answer(call, CONTROL_OK, 0, &who, sizeof(who));
		break;
	}
	case DIE:
		if (atomic_fetch_add(&rig->tally->deaths, 1) < script.seed)
			kill(getpid(), SIGKILL);
		answer(call);
		break;
	default:
		control_call_answer(call, CONTROL_GONE, 0, NULL, 0);
	}
}

static inline enum manner manner_of(const struct control_call *call)
{
	struct script script;
	memcpy(&script, call->payload.p, sizeof(script));
	return script.manner;
}

/* Takes a kept call that can be answered: the newest first, so that answers overtake one another. */
static inline struct control_call *take(struct rig *rig)
{
	unsigned held = 0;
	for (unsigned i = rig->n_kept; i-- > 0;) {
		struct control_call *call = rig->kept[i];
		bool never = manner_of(call) == NEVER, cancelled = control_call_cancelled(call);
		if (never && !cancelled && !rig->stopping) {
			held++;
			continue;
		}
		if (never && cancelled)
			atomic_fetch_add(&rig->tally->cancelled, 1);
		rig->kept[i] = rig->kept[--rig->n_kept];
		return call;
	}
	atomic_store(&rig->tally->held, held);
	return NULL;
}

static inline void *work(void *ctx)
{
	struct rig *rig = ctx;
	pthread_mutex_lock(&rig->lock);
	for (;;) {
		struct control_call *call = take(rig);
		if (!call && rig->stopping)
			break;
		if (!call) {
			/* A cancellation does not wake us: look every few ms. */
			int64_t until_ns = clock_monotonic_ns() + 5000000;
			struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
			pthread_cond_clockwait(&rig->work, &rig->lock, CLOCK_MONOTONIC, &until);
			continue;
		}
		pthread_mutex_unlock(&rig->lock);
		answer(call);
		pthread_mutex_lock(&rig->lock);
	}
	pthread_mutex_unlock(&rig->lock);
	return NULL;
}

static inline void *loop(void *ctx)
{
	struct rig *rig = ctx;
	struct pollfd fds[] = { { .fd = control_server_fd(rig->server), .events = POLLIN },
		{ .fd = rig->stop_fd, .events = POLLIN } };
	while (!(fds[1].revents & POLLIN)) {
		poll(fds, 2, -1);
		if (fds[0].revents & POLLIN)
			control_server_dispatch(rig->server);
	}
	return NULL;
}

static inline void serve(struct rig *rig)
{
	rig->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(control_server_new(rig->listen_fd, 0, handle, rig, &rig->server), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&rig->workers[i], NULL, work, rig), 0);
	assert_int_equal(pthread_create(&rig->loop, NULL, loop, rig), 0);
}

/* The loop ends and the server is freed first: calls still kept are answered into the void. */
static inline void stop_serving(struct rig *rig)
{
	assert_int_equal(eventfd_write(rig->stop_fd, 1), 0);
	pthread_join(rig->loop, NULL);
	control_server_free(rig->server);
	rig->server = NULL;
	pthread_mutex_lock(&rig->lock);
	rig->stopping = true;
	pthread_cond_broadcast(&rig->work);
	pthread_mutex_unlock(&rig->lock);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(rig->workers[i], NULL);
	rig->stopping = false;
	close(rig->stop_fd);
}

/* Forks a server that begins once *ret_go is closed. */
static inline pid_t fork_heir(struct rig *rig, int *ret_go)
{
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char byte;
		close(go[1]);
		if (read(go[0], &byte, 1) != 0)
			_exit(1);
		serve(rig);
		pthread_join(rig->loop, NULL);
		_exit(0);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static inline void serve_forked(struct rig *rig)
{
	int go;
	rig->pid = fork_heir(rig, &go);
	close(go);
}

static inline void reap(struct rig *rig, int signal)
{
	if (signal)
		kill(rig->pid, signal);
	assert_int_equal(waitpid(rig->pid, NULL, 0), rig->pid);
}

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig) { .dir = "/tmp/test-control-XXXXXX" };
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(chmod(rig->dir, 0755), 0);
	snprintf(rig->path, sizeof(rig->path), "%s/control.sock", rig->dir);
	rig->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, rig->path);
	assert_int_equal(bind(rig->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(chmod(rig->path, 0666), 0);
	assert_int_equal(listen(rig->listen_fd, 128), 0);
	rig->tally =
		mmap(NULL, sizeof(*rig->tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_init(&rig->lock, NULL);
	pthread_cond_init(&rig->work, NULL);
}

static inline void rig_deinit(struct rig *rig)
{
	close(rig->listen_fd);
	unlink(rig->path);
	rmdir(rig->dir);
	munmap(rig->tally, sizeof(*rig->tally));
	pthread_cond_destroy(&rig->work);
	pthread_mutex_destroy(&rig->lock);
}

static inline struct control_client *client_of(struct rig *rig)
{
	struct control_client *client;
	assert_int_equal(control_client_new(rig->path, &client), 0);
	return client;
}

/* A request for `size` bytes; payload has room for n bytes, at least a script. */
static inline struct control_ask ask_for(
	char *payload, size_t n, enum manner manner, uint64_t size, uint32_t seed)
{
	struct script script = { manner, seed, size };
	fill(payload, n, seed ^ 0x5bd1e995);
	memcpy(payload, &script, sizeof(script));
	return (struct control_ask) { .op = CONTROL_OP_CONFIG, .payload = { payload, n } };
}

static inline bool is_answer_of(const struct control_ask *ask, const char *bytes, size_t n)
{
	struct script script;
	memcpy(&script, ask->payload.p, sizeof(script));
	if (n != script.size)
		return false;
	char *wanted = malloc(n + 1);
	fill(wanted, n, script.seed ^ sum(ask->payload.p, ask->payload.n));
	bool same = n == 0 || memcmp(wanted, bytes, n) == 0;
	free(wanted);
	return same;
}

/* Asks, and returns the call's result; a wrong answer is -EBADE. */
static inline int ask_and_check(
	struct control_client *client, enum manner manner, size_t payload, uint64_t size, uint32_t seed)
{
	char *room = malloc(payload);
	struct control_ask ask = ask_for(room, payload, manner, size, seed);
	ask.idempotent = true;
	struct control_reply reply = CONTROL_REPLY_INIT;
	int r = control_client_call(client, &ask, &reply, SOON_MS, NULL);
	if (r == 0 && (reply.status != CONTROL_OK || !is_answer_of(&ask, reply.bytes.data, reply.bytes.len)))
		r = reply.status == CONTROL_OK ? -EBADE
					       : -EBADE - 1000 * (int)reply.status - 10000 * reply.error;
	control_reply_deinit(&reply);
	free(room);
	return r;
}

static inline void eventually(const atomic_uint *value, unsigned wanted)
{
	int64_t end_ns = clock_monotonic_ns() + SOON_MS * INT64_C(1000000);
	while (atomic_load(value) < wanted && clock_monotonic_ns() < end_ns)
		sched_yield();
	assert_in_range(atomic_load(value), wanted, UINT32_MAX);
}

static inline unsigned n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	rig_init(rig);
	*state = rig;
	return 0;
}

static inline int teardown(void **state)
{
	rig_deinit(*state);
	free(*state);
	return 0;
}

struct crowd {
	struct control_client *client;
	unsigned n_calls;
	atomic_uint next_seed, wrong, cut;
};

static inline void *crowd_thread(void *ctx)
{
	struct crowd *crowd = ctx;
	static const uint64_t sizes[] = { 0, 50, 500, 5000, 60000, 300, 20, CONTROL_SEGMENT + 100, 4096, 4097,
		3 << 20 };
	for (unsigned i = 0; i < crowd->n_calls; i++) {
		uint32_t seed = atomic_fetch_add(&crowd->next_seed, 1);
		size_t payload = sizeof(struct script) + (seed % 7 == 0 ? 3 * CONTROL_INLINE : seed % 50);
		/* Long ones are rare, or sanitizers take for ever to make them. */
		uint64_t size = sizes[seed % (seed % 16 == 0 ? 11 : 7)];
		int r = ask_and_check(crowd->client, seed % 3 ? AT_ONCE : LATER, payload, size, seed);
		if (r == -ECONNRESET || r == -ECONNREFUSED)
			atomic_fetch_add(&crowd->cut, 1);
		else if (r < 0)
			atomic_fetch_add(&crowd->wrong, 1);
	}
	return NULL;
}

static inline void run_crowd(struct crowd *crowd, unsigned n_threads)
{
	pthread_t threads[100];
	for (unsigned i = 0; i < n_threads; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, crowd), 0);
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
}
