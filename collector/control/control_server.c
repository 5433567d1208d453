/* SPDX-License-Identifier: MIT */
/*
 * The listening socket and the connections in one epoll set, which is itself the descriptor the collector's
 * loop watches. A connection that was just served is tried again before asking epoll: a lone requester costs
 * no second epoll_wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "collector/control/control_peer.h"
#include "collector/control/control_server.h"
#include "schema/base/cleanup.h"

enum {
	EVENTS = 16,
	PER_TURN = 8,   /* datagrams of one connection, then it is the next one's turn */
	HOT_TURNS = 16, /* dispatches that may pass over epoll in a row */
	ACCEPT_AT_ONCE = 16,
};

struct control_server {
	int listen_fd, epoll_fd;
	uid_t server_uid;
	control_handler *handler;
	void *ctx;
	LIST_HEAD(, control_peer) peers;
	unsigned n_peers, n_strangers;
	bool accept_again;        /* accept found no descriptor or memory */
	struct control_peer *hot; /* served last */
	unsigned hot_turns;
	char scratch[CONTROL_DATAGRAM_MAX + 1];
};

static int watch_listener(struct control_server *server, int op)
{
	/* Edge-triggered: out of descriptors, we must not be woken for what cannot be accepted. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
	return epoll_ctl(server->epoll_fd, op, server->listen_fd, &event) < 0 ? -errno : 0;
}

int control_server_new(int listen_fd, uid_t server_uid, control_handler *handler, void *ctx,
	struct control_server **ret_server)
{
	CLEANUP_FREE struct control_server *server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	int flags = fcntl(listen_fd, F_GETFL);
	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	CLEANUP_CLOSE int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	server->listen_fd = listen_fd;
	server->epoll_fd = epoll_fd;
	server->server_uid = server_uid;
	server->handler = handler;
	server->ctx = ctx;
	LIST_INIT(&server->peers);
	int r = watch_listener(server, EPOLL_CTL_ADD);
	if (r < 0)
		return r;
	steal_fd(&epoll_fd);
	*ret_server = steal_ptr(server);
	return 0;
}

static void drop_peer(struct control_server *server, struct control_peer *peer)
{
	LIST_REMOVE(peer, link);
	server->n_peers--;
	server->n_strangers -= !peer->believed;
	if (server->hot == peer)
		server->hot = NULL;
	control_peer_close(peer);
}

void control_server_free(struct control_server *server)
{
	if (!server)
		return;
	while (!LIST_EMPTY(&server->peers))
		drop_peer(server, LIST_FIRST(&server->peers));
	close(server->epoll_fd);
	free(server);
}

int control_server_fd(const struct control_server *server)
{
	return server->epoll_fd;
}

/* Strangers have a share of the connections that leaves enough for those that matter, and from one another.
 */
static bool has_room_for(const struct control_server *server, const struct control_peer *peer)
{
	if (server->n_peers >= CONTROL_CONNECTIONS)
		return false;
	if (peer->believed)
		return true;
	unsigned of_same_uid = 0;
	const struct control_peer *other;
	LIST_FOREACH(other, &server->peers, link)
	of_same_uid += other->cred.uid == peer->cred.uid;
	return server->n_strangers < CONTROL_STRANGERS && of_same_uid < CONTROL_OF_ONE_STRANGER;
}

static void accept_peers(struct control_server *server)
{
	server->accept_again = false;
	for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			server->accept_again = true; /* tried again whenever something else happens */
			return;
		}
		struct control_peer *peer;
		if (control_peer_new(fd, server->epoll_fd, server->server_uid, &peer) < 0)
			continue;
		if (!has_room_for(server, peer)) {
			control_peer_close(peer);
			continue;
		}
		LIST_INSERT_HEAD(&server->peers, peer, link);
		server->n_peers++;
		server->n_strangers += !peer->believed;
	}
	/* More may wait: have the edge raised again. */
	server->accept_again = watch_listener(server, EPOLL_CTL_MOD) < 0;
}

static void handle(struct control_server *server, struct control_call *call)
{
	if (call->op == CONTROL_OP_PING)
		control_call_answer(call, CONTROL_OK, 0, call->payload.p, call->payload.n);
	else
		server->handler(server->ctx, call);
}

static bool readable(const struct control_peer *peer)
{
	return atomic_load_explicit(&peer->in_flight, memory_order_relaxed) <= CONTROL_IN_FLIGHT;
}

/* Receives up to n datagrams; returns how many there were. The peer is gone where it broke. */
static unsigned serve_peer(struct control_server *server, struct control_peer *peer, unsigned n)
{
	unsigned done = 0;
	while (done < n && readable(peer)) {
		struct control_call *call = NULL;
		int r = control_peer_receive(peer, server->scratch, &call);
		if (r == CONTROL_PEER_DRAINED)
			break;
		if (r == CONTROL_PEER_BROKEN) {
			drop_peer(server, peer);
			return done + 1;
		}
		done++;
		if (call)
			handle(server, call);
	}
	if (done > 0)
		server->hot = peer;
	return done;
}

void control_server_dispatch(struct control_server *server)
{
	if (server->accept_again)
		accept_peers(server);
	if (server->hot && server->hot_turns++ < HOT_TURNS && serve_peer(server, server->hot, 1) > 0)
		return;
	server->hot_turns = 0;

	struct epoll_event events[EVENTS];
	int n = epoll_wait(server->epoll_fd, events, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct control_peer *peer = events[i].data.ptr;
		if (!peer) {
			accept_peers(server);
			continue;
		}
		if (events[i].events & (EPOLLHUP | EPOLLERR)) {
			drop_peer(server, peer);
			continue;
		}
		if (events[i].events & EPOLLOUT)
			control_peer_flush(peer);
		if (events[i].events & EPOLLIN)
			serve_peer(server, peer, PER_TURN);
	}
}
