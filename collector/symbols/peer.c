/* SPDX-License-Identifier: MIT */
#include "collector/symbols/peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/fd_message.h"

enum { REAP_MS = 200 };

void peer_init(struct peer *peer, const char *program, uid_t uid, gid_t gid)
{
	memset(peer, 0, sizeof(*peer));
	peer->program = program;
	peer->uid = uid;
	peer->gid = gid;
	peer->pidfd = peer->sock = -1;
	for (int i = 0; i < PEER_LINGERING_MAX; i++)
		peer->lingering[i].pidfd = -1;
}

static int wait_readable(int fd, int64_t until_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int r;

	do {
		int64_t left_ns = until_ns - clock_monotonic_ns();
		if (left_ns < 0)
			left_ns = 0;
		const struct timespec left = { left_ns / 1000000000, left_ns % 1000000000 };
		r = ppoll(&poll_fd, 1, &left, NULL);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r == 0 ? -ETIME : 0;
}

/* False while the process is still going down. */
static bool reap(pid_t pid, int *pidfd, int patience_ms)
{
	if (*pidfd >= 0 && wait_readable(*pidfd, clock_monotonic_ns() + patience_ms * INT64_C(1000000)))
		return false;
	/* Without a pidfd (Linux before 5.3) there is no other way to wait. */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_fd(pidfd);
	return true;
}

void peer_end(struct peer *peer)
{
	close_fd(&peer->sock);
	if (!peer->pid)
		return;
	kill(peer->pid, SIGKILL);
	if (!reap(peer->pid, &peer->pidfd, REAP_MS)) {
		for (int i = 0; i < PEER_LINGERING_MAX; i++) {
			if (peer->lingering[i].pidfd >= 0)
				continue;
			peer->lingering[i].pid = peer->pid;
			peer->lingering[i].pidfd = steal_fd(&peer->pidfd);
			break;
		}
	}
	peer->pid = 0;
}

static bool may_start(struct peer *peer)
{
	bool room = false;

	for (int i = 0; i < PEER_LINGERING_MAX; i++)
		room |= peer->lingering[i].pidfd < 0 ||
			reap(peer->lingering[i].pid, &peer->lingering[i].pidfd, 0);
	return room;
}

void peer_deinit(struct peer *peer)
{
	peer_end(peer);
	for (int i = 0; i < PEER_LINGERING_MAX; i++)
		if (peer->lingering[i].pidfd >= 0 &&
			!reap(peer->lingering[i].pid, &peer->lingering[i].pidfd, REAP_MS))
			close_fd(&peer->lingering[i].pidfd);
	buf_deinit(&peer->out);
}

static int spawn(struct peer *peer, int sock)
{
	char uid[24], gid[24];
	char *const argv[] = { (char *)(uintptr_t) "memfs-symbols", uid, gid, NULL };
	char *const envp[] = { (char *)(uintptr_t) "LC_ALL=C", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	snprintf(uid, sizeof(uid), "%u", peer->uid);
	snprintf(gid, sizeof(gid), "%u", peer->gid);
	/* Threads of the collector have signals blocked. */
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = -posix_spawn_file_actions_adddup2(&actions, sock, WIRE_SOCKET);
	if (!r)
		r = -posix_spawn(&peer->pid, peer->program, &actions, &attributes, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (r)
		peer->pid = 0;
	else
		peer->pidfd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	return r;
}

/* A packet into peer->in, with its head taken off. */
static int receive(
	struct peer *peer, int64_t until_ns, struct wire_head *ret, const uint8_t **ret_at, size_t *ret_n)
{
	ssize_t n;
	int r;

	do {
		r = wait_readable(peer->sock, until_ns);
		if (r)
			return r;
		/* No control data is asked for: descriptors that would come along are not taken. */
		n = recv(peer->sock, peer->in, sizeof(peer->in), MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n <= 0)
		return -EPIPE;
	*ret_at = peer->in;
	*ret_n = (size_t)n;
	return wire_take_head(ret_at, ret_n, ret) ? 0 : -EPIPE;
}

int peer_start(struct peer *peer, int64_t until_ns)
{
	struct wire_head head;
	const uint8_t *at;
	size_t n;
	int pair[2];

	if (!may_start(peer))
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	int r = spawn(peer, pair[1]);
	close(pair[1]);
	peer->sock = pair[0];
	if (!r)
		r = receive(peer, until_ns, &head, &at, &n);
	if (!r && (head.op != WIRE_READY || head.number != WIRE_VERSION))
		r = -EPROTO;
	if (r)
		peer_end(peer);
	return r;
}

/* The packet in peer->out, begun by begin(), with a descriptor or -1. */
static int post(struct peer *peer, int fd, int64_t until_ns)
{
	if (buf_error(&peer->out))
		return buf_error(&peer->out);
	for (;;) {
		int r = fd_message_send(peer->sock, NULL, peer->out.data, peer->out.len, fd, MSG_DONTWAIT);
		if (!r)
			return 0;
		if (r != -EINTR && r != -EAGAIN)
			return -EPIPE;
		/* Questions without answer have filled the socket: it is busy with them. */
		struct pollfd poll_fd = { .fd = peer->sock, .events = POLLOUT };
		if (clock_monotonic_ns() >= until_ns)
			return -ETIME;
		poll(&poll_fd, 1, 10);
	}
}

static void begin(struct peer *peer, enum wire_op op, uint32_t number, uint32_t count)
{
	const struct wire_head head = { op, number, count, ++peer->sequence };

	buf_clear(&peer->out);
	wire_put_head(&peer->out, &head);
}

/* The answer to the question just posted. */
static int await(struct peer *peer, enum wire_op op, int64_t until_ns, struct wire_head *ret,
	const uint8_t **ret_at, size_t *ret_n)
{
	int r = receive(peer, until_ns, ret, ret_at, ret_n);

	if (!r && (ret->op != op || ret->sequence != peer->sequence))
		r = -EPIPE;
	return r;
}

int peer_open(struct peer *peer, uint32_t slot, int fd, int64_t until_ns, struct wire_identity *ret,
	struct wire_load ret_load[static WIRE_LOADS_MAX], unsigned *ret_n)
{
	struct wire_identity identity;
	struct wire_head head;
	const uint8_t *at;
	size_t n;

	begin(peer, WIRE_OPEN, slot, 0);
	int r = post(peer, fd, until_ns);
	if (!r)
		r = await(peer, WIRE_OPENED, until_ns, &head, &at, &n);
	if (r)
		return r;
	memcpy(&identity, at, sizeof(identity));
	if (identity.id_n > WIRE_ID_MAX)
		return -EPIPE;
	memcpy(ret_load, at + sizeof(identity), n - sizeof(identity));
	*ret = identity;
	*ret_n = head.count;
	return 0;
}

int peer_close(struct peer *peer, uint32_t slot, int64_t until_ns)
{
	begin(peer, WIRE_CLOSE, slot, 0);
	return post(peer, -1, until_ns);
}

int peer_resolve(struct peer *peer, uint32_t slot, const uint64_t *address, uint32_t n, int64_t until_ns,
	peer_take_symbol *take, void *ctx)
{
	struct wire_symbol symbol;
	struct wire_head head;
	const uint8_t *at;
	size_t rest;

	begin(peer, WIRE_RESOLVE, slot, n);
	buf_put(&peer->out, address, n * sizeof(*address));
	int r = post(peer, -1, until_ns);
	for (uint32_t i = 0; !r && i < n;) {
		r = await(peer, WIRE_SYMBOLS, until_ns, &head, &at, &rest);
		if (!r && (head.number != i || !head.count || head.count > n - i))
			r = -EPIPE;
		for (uint32_t end = r ? i : i + head.count; i < end; i++) {
			if (!wire_take_symbol(&at, &rest, &symbol))
				return -EPIPE;
			take(ctx, i, &symbol);
		}
	}
	return r;
}

int peer_space(
	struct peer *peer, uint32_t space, const struct wire_module *module, uint32_t n, int64_t until_ns)
{
	begin(peer, WIRE_SPACE, space, n);
	buf_put(&peer->out, module, n * sizeof(*module));
	return post(peer, -1, until_ns);
}

int peer_unwind(struct peer *peer, uint32_t space, const struct wire_registers *registers,
	const uint8_t *bytes, uint32_t n, int64_t until_ns, uint64_t ret_address[static WIRE_FRAMES_MAX],
	unsigned *ret_n, bool *ret_cut)
{
	struct wire_head head;
	const uint8_t *at;
	size_t rest;

	begin(peer, WIRE_UNWIND, space, n);
	buf_put(&peer->out, registers, sizeof(*registers));
	buf_put(&peer->out, bytes, n);
	int r = post(peer, -1, until_ns);
	if (!r)
		r = await(peer, WIRE_STACK, until_ns, &head, &at, &rest);
	if (r)
		return r;
	memcpy(ret_address, at, rest);
	*ret_n = head.count;
	*ret_cut = head.number;
	return 0;
}
