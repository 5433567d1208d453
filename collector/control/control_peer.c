/* SPDX-License-Identifier: MIT */
/*
 * One connection: requests are put together from their parts and held until answered. What a peer does wrong
 * costs itself an error or its connection, nobody else anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "collector/control/control_peer.h"
#include "schema/base/cleanup.h"
#include "collector/control/control_request.h"

static struct control_held *held_of(struct control_call *call)
{
	return (struct control_held *)call; /* its first member */
}

int control_peer_new(int fd, int epoll_fd, uid_t server_uid, struct control_peer **ret_peer)
{
	CLEANUP_CLOSE int owned = fd;
	CLEANUP_FREE struct control_peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	socklen_t len = sizeof(peer->cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->cred, &len) < 0)
		return -errno;
	peer->believed = peer->cred.uid == server_uid || peer->cred.uid == 0;
	peer->fd = fd;
	peer->epoll_fd = epoll_fd;
	peer->armed = EPOLLIN;
	LIST_INIT(&peer->held);
	STAILQ_INIT(&peer->inline_queue);
	STAILQ_INIT(&peer->bulk_queue);
	struct epoll_event event = { .events = peer->armed, .data.ptr = peer };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	pthread_mutex_init(&peer->lock, NULL);
	steal_fd(&owned);
	*ret_peer = steal_ptr(peer);
	return 0;
}

static void peer_free(struct control_peer *peer)
{
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

void control_held_drop(struct control_held *held)
{
	LIST_REMOVE(held, link);
	held->peer->in_flight--;
	free(held->bytes);
	free(held);
}

void control_peer_close(struct control_peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	peer->dead = true;
	struct control_held *held, *next;
	for (held = LIST_FIRST(&peer->held); held; held = next) {
		next = LIST_NEXT(held, link);
		atomic_store(&held->cancelled, true);
		if (held->state != HELD_HANDED && !held->making)
			control_held_drop(held);
	}
	for (unsigned i = 0; i < peer->n_segments; i++)
		control_segment_deinit(&peer->segments[i]);
	/* Closing takes it out of epoll. Under the lock: a thread that answers must not meet another's
	 * descriptor. */
	close_fd(&peer->fd);
	bool last = peer->in_flight == 0;
	pthread_mutex_unlock(&peer->lock);
	if (last)
		peer_free(peer);
}

void control_peer_arm(struct control_peer *peer)
{
	/* At the limit we read on: a client that keeps it has only cancellations and segments to send. */
	uint32_t wanted = (peer->in_flight <= CONTROL_IN_FLIGHT ? (uint32_t)EPOLLIN : 0) |
			  (peer->full ? (uint32_t)EPOLLOUT : 0);
	if (peer->dead || wanted == peer->armed)
		return;
	struct epoll_event event = { .events = wanted, .data.ptr = peer };
	if (epoll_ctl(peer->epoll_fd, EPOLL_CTL_MOD, peer->fd, &event) == 0)
		peer->armed = wanted;
	else
		shutdown(peer->fd, SHUT_RDWR);
}

void control_peer_flush(struct control_peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	peer->full = false;
	control_answer_flush(peer);
	control_peer_arm(peer);
	pthread_mutex_unlock(&peer->lock);
}

static struct control_held *find(struct control_peer *peer, uint64_t id)
{
	struct control_held *held;
	LIST_FOREACH(held, &peer->held, link)
	if (held->id == id)
		return held;
	return NULL;
}

static struct control_held *hold(
	struct control_peer *peer, const struct control_request *request, size_t payload)
{
	struct control_held *held = malloc(sizeof(*held) + payload);
	if (!held)
		return NULL;
	*held = (struct control_held) {
		.call = { .op = request->op,
			.uid = peer->believed ? request->uid : peer->cred.uid,
			.tgid = peer->believed ? (pid_t)request->tgid : peer->cred.pid,
			.believed = peer->believed,
			.pid = request->pid,
			.start_ticks = request->start_ticks,
			.payload = { held->payload, payload } },
		.peer = peer,
		.id = request->id,
	};
	LIST_INSERT_HEAD(&peer->held, held, link);
	peer->in_flight++;
	return held;
}

static void refuse(struct control_held *held, int error, const char *reason)
{
	if (control_answer_post(held, CONTROL_ERROR, error, reason, strlen(reason)))
		control_held_drop(held);
}

static void release(struct control_peer *peer, uint32_t released)
{
	/* A segment given back that was not out changes nothing. */
	uint32_t made = (1u << peer->n_segments) - 1;
	peer->free_segments |= released & made;
	if (!STAILQ_EMPTY(&peer->bulk_queue))
		control_answer_flush(peer);
}

static void cancel(struct control_peer *peer, uint64_t id)
{
	struct control_held *held = find(peer, id);
	if (!held)
		return; /* its answer crossed the cancellation */
	atomic_store(&held->cancelled, true);
	if (held->state == HELD_PARTS) {
		refuse(held, ECANCELED, "");
	} else if (held->state == HELD_QUEUED && !held->making) {
		control_answer_give_up(held, ECANCELED);
		if (!peer->full)
			control_answer_flush(peer);
	}
}

/* 0 with the call where this part completes it, or a control_peer_outcome. */
static int take_part(struct control_peer *peer, const struct control_request *request, struct span part,
	struct control_held **ret_held)
{
	struct control_held *held = find(peer, request->id);
	if (held && held->state != HELD_PARTS)
		return CONTROL_PEER_BROKEN; /* an id in use names two requests: no answer could be told apart
					     */
	if (!held && request->offset == 0)
		held = hold(peer, request, request->total);
	else if (!held)
		return CONTROL_PEER_BROKEN;
	if (!held)
		return CONTROL_PEER_BROKEN; /* no memory, not even for saying so */
	if (request->op != held->call.op || request->total != held->call.payload.n ||
		request->offset != held->received)
		return CONTROL_PEER_BROKEN;
	if (part.n > 0)
		memcpy(held->payload + held->received, part.p, part.n);
	held->received += (uint32_t)part.n;
	if (held->received == held->call.payload.n) {
		held->state = HELD_HANDED;
		*ret_held = held;
	}
	return 0;
}

static int take_datagram(
	struct control_peer *peer, const char *datagram, size_t n, struct control_held **ret_held)
{
	struct control_request request;
	struct span part;
	int r = control_request_parse(datagram, n, &request, &part);
	if (r == CONTROL_REQUEST_NAMELESS)
		return CONTROL_PEER_BROKEN;
	if (r != CONTROL_REQUEST_VERSION && r != CONTROL_REQUEST_LENGTH && request.released)
		release(peer, request.released);
	if (r > 0) {
		const char *reason;
		int error = control_request_refusal(r, &reason);
		struct control_held *held = find(peer, request.id) ? NULL : hold(peer, &request, 0);
		if (!held)
			return CONTROL_PEER_BROKEN;
		refuse(held, error, reason);
		return 0;
	}
	if (request.op == CONTROL_OP_CANCEL)
		cancel(peer, request.id);
	else if (request.op != CONTROL_OP_RELEASE)
		return take_part(peer, &request, part, ret_held);
	return 0;
}

int control_peer_receive(struct control_peer *peer, char *scratch, struct control_call **ret_call)
{
	ssize_t n = recv(peer->fd, scratch, CONTROL_DATAGRAM_MAX + 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONTROL_PEER_DRAINED;
	if (n <= 0)
		return CONTROL_PEER_BROKEN;
	struct control_held *held = NULL;
	pthread_mutex_lock(&peer->lock);
	int r = take_datagram(peer, scratch, (size_t)n, &held);
	control_peer_arm(peer);
	pthread_mutex_unlock(&peer->lock);
	*ret_call = held ? &held->call : NULL;
	return r;
}

/* After an answer, or a piece of one: of a peer that is gone it may have been the last. */
static void unlock_answered(struct control_peer *peer)
{
	control_peer_arm(peer);
	bool last = peer->dead && peer->in_flight == 0;
	pthread_mutex_unlock(&peer->lock);
	if (last)
		peer_free(peer);
}

void control_call_answer(
	struct control_call *call, enum control_status status, int error, const void *bytes, size_t len)
{
	struct control_held *held = held_of(call);
	struct control_peer *peer = held->peer;
	pthread_mutex_lock(&peer->lock);
	if (control_answer_post(held, status, error, bytes, len))
		control_held_drop(held);
	unlock_answered(peer);
}

bool control_call_answer_part(struct control_call *call, uint64_t total, const void *bytes, size_t len)
{
	struct control_held *held = held_of(call);
	struct control_peer *peer = held->peer;
	pthread_mutex_lock(&peer->lock);
	enum control_part part = control_answer_post_part(held, total, bytes, len);
	if (part == CONTROL_PART_LEFT)
		control_held_drop(held);
	unlock_answered(peer);
	return part == CONTROL_PART_TAKEN;
}

bool control_call_cancelled(const struct control_call *call)
{
	return atomic_load(&((const struct control_held *)call)->cancelled);
}
