/* SPDX-License-Identifier: MIT */
/*
 * The way out: short answers within the datagram, long ones through the connection's segments, and the queues
 * for what cannot leave yet. Everything runs with the peer's lock held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/control/control_peer.h"
#include "schema/base/cleanup.h"

/* 0, -EAGAIN where the socket is full. Any other failure ends the connection, and the loop will see that. */
static int send_datagram(struct control_peer *peer, const void *bytes, size_t n, int pass_fd)
{
	ssize_t sent;
	if (pass_fd < 0) {
		sent = send(peer->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct iovec part = { (void *)bytes, n };
		struct msghdr message = { .msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		control.header = (struct cmsghdr) {
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))
		};
		memcpy(CMSG_DATA(&control.header), &pass_fd, sizeof(int));
		sent = sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (sent >= 0)
		return 0;
	if (errno == EAGAIN || errno == EINTR) {
		peer->full = true;
		return -EAGAIN;
	}
	shutdown(peer->fd, SHUT_RDWR);
	return -EPIPE;
}

static int send_inline(struct control_held *held, const void *bytes, size_t len)
{
	char datagram[sizeof(struct control_answer) + CONTROL_INLINE];
	struct control_answer answer = { .id = held->id,
		.status = held->status,
		.error = held->error,
		.total = len,
		.len = (uint32_t)len,
		.segment = CONTROL_NO_SEGMENT };
	memcpy(datagram, &answer, sizeof(answer));
	if (len > 0)
		memcpy(datagram + sizeof(answer), bytes, len);
	return send_datagram(held->peer, datagram, sizeof(answer) + len, -1);
}

/* A free segment, made if need be. 0, -EAGAIN where the client has them all, or why not even one could be
 * made. */
static int take_segment(struct control_peer *peer, unsigned *ret_segment)
{
	if (!peer->free_segments && peer->n_segments < CONTROL_SEGMENTS) {
		int r = control_segment_make(&peer->segments[peer->n_segments]);
		if (r == 0)
			peer->free_segments |= 1u << peer->n_segments++;
		else if (peer->n_segments == 0)
			return r;
	}
	if (!peer->free_segments)
		return -EAGAIN;
	*ret_segment = (unsigned)__builtin_ctz(peer->free_segments);
	peer->free_segments &= ~(1u << *ret_segment);
	return 0;
}

/* Sends the parts from held->sent on; bytes are those of the rest. 0 when all left; -EAGAIN when it must
 * wait. */
static int send_bulk(struct control_held *held, const char *bytes)
{
	struct control_peer *peer = held->peer;
	size_t from = held->sent;
	while (held->sent < held->made) {
		unsigned index = 0;
		int r = take_segment(peer, &index);
		if (r < 0)
			return r;
		struct control_segment *segment = &peer->segments[index];
		size_t rest = held->made - held->sent, len = rest < CONTROL_SEGMENT ? rest : CONTROL_SEGMENT;
		memcpy(segment->bytes, bytes + (held->sent - from), len);
		struct control_answer answer = { .id = held->id,
			.status = held->status,
			.error = held->error,
			.total = held->len,
			.offset = held->sent,
			.len = (uint32_t)len,
			.segment = index };
		r = send_datagram(peer, &answer, sizeof(answer), segment->fd);
		if (r < 0) {
			peer->free_segments |= 1u << index;
			return r;
		}
		/* From now on the client has it; our mapping is all we need. */
		close_fd(&segment->fd);
		held->sent += len;
	}
	return 0;
}

static int send_answer(struct control_held *held, const char *bytes)
{
	return held->bulk ? send_bulk(held, bytes) : send_inline(held, bytes, held->len);
}

static void set_error(struct control_held *held, int error)
{
	held->status = CONTROL_ERROR;
	held->error = (uint32_t)error;
	held->bulk = false;
	held->len = held->made = held->sent = 0;
}

static void enqueue(struct control_held *held, char *copy, size_t n)
{
	struct control_peer *peer = held->peer;
	held->state = HELD_QUEUED;
	held->bytes = copy;
	held->kept = n;
	peer->queued_bytes += n;
	STAILQ_INSERT_TAIL(held->bulk ? &peer->bulk_queue : &peer->inline_queue, held, queue_link);
}

static void dequeue(struct control_held *held)
{
	struct control_peer *peer = held->peer;
	STAILQ_REMOVE(held->bulk ? &peer->bulk_queue : &peer->inline_queue, held, control_held, queue_link);
	peer->queued_bytes -= held->kept;
	free(held->bytes);
	held->bytes = NULL;
}

bool control_answer_post(
	struct control_held *held, enum control_status status, int error, const void *bytes, size_t len)
{
	struct control_peer *peer = held->peer;
	if (peer->dead)
		return true;
	held->status = status;
	held->error = (uint32_t)error;
	held->len = held->made = len;
	held->sent = 0;
	held->bulk = len > CONTROL_INLINE;
	if (len > CONTROL_ANSWER_MAX)
		set_error(held, EFBIG);
	else if (held->bulk && atomic_load(&held->cancelled))
		set_error(held, ECANCELED); /* no queue and no segments for what nobody wants */

	/* Twice at most: an answer that finds no memory leaves as an error, and an error without bytes needs
	 * none. */
	for (;;) {
		int r = -EAGAIN;
		if (STAILQ_EMPTY(held->bulk ? &peer->bulk_queue : &peer->inline_queue))
			r = send_answer(held, bytes);
		if (r == 0 || r == -EPIPE)
			return true;
		if (r != -EAGAIN) {
			set_error(held, -r);
			continue;
		}
		size_t rest = held->len - held->sent;
		char *copy = NULL;
		if (rest > 0 && peer->queued_bytes + rest > CONTROL_QUEUE_MAX) {
			set_error(held, ENOBUFS);
			continue;
		}
		if (rest > 0 && !(copy = malloc(rest))) {
			set_error(held, ENOMEM);
			continue;
		}
		if (rest > 0)
			memcpy(copy, (const char *)bytes + held->sent, rest);
		/* What is sent so far is left out of the copy. */
		enqueue(held, copy, rest);
		return false;
	}
}

/* Adds to what is queued of an answer. */
static int add_queued(struct control_held *held, const void *bytes, size_t len)
{
	struct control_peer *peer = held->peer;
	if (peer->queued_bytes + len > CONTROL_QUEUE_MAX)
		return -ENOBUFS;
	char *grown = realloc(held->bytes, held->kept + len);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + held->kept, bytes, len);
	held->bytes = grown;
	held->kept += len;
	held->made += len;
	peer->queued_bytes += len;
	return 0;
}

/* An answer of which parts may have left becomes an error that ends it. */
static enum control_part give_up_making(struct control_held *held, int error)
{
	held->making = false;
	if (held->state == HELD_QUEUED)
		dequeue(held);
	return control_answer_post(held, CONTROL_ERROR, error, NULL, 0) ? CONTROL_PART_LEFT
									: CONTROL_PART_QUEUED;
}

enum control_part control_answer_post_part(
	struct control_held *held, uint64_t total, const void *bytes, size_t len)
{
	struct control_peer *peer = held->peer;
	int r = atomic_load(&held->cancelled) ? -ECANCELED : -held->making_failed;
	if (peer->dead)
		return CONTROL_PART_LEFT;
	if (r == 0 && total > CONTROL_ANSWER_MAX)
		r = -EFBIG;
	if (r < 0)
		return give_up_making(held, -r);

	held->status = CONTROL_OK;
	held->bulk = true;
	held->len = total;
	held->making = held->made + len < total;
	const enum control_part queued = held->making ? CONTROL_PART_TAKEN : CONTROL_PART_QUEUED;
	if (held->state == HELD_QUEUED) {
		r = add_queued(held, bytes, len);
		return r < 0 ? give_up_making(held, -r) : queued;
	}
	held->made += len;
	r = STAILQ_EMPTY(&peer->bulk_queue) ? send_bulk(held, bytes) : -EAGAIN;
	if (r == 0 && held->making)
		return CONTROL_PART_TAKEN;
	if (r == 0 || r == -EPIPE)
		return CONTROL_PART_LEFT;
	if (r != -EAGAIN)
		return give_up_making(held, -r);
	size_t rest = held->made - held->sent;
	char *copy = peer->queued_bytes + rest <= CONTROL_QUEUE_MAX ? malloc(rest) : NULL;
	if (!copy)
		return give_up_making(held, ENOBUFS);
	memcpy(copy, (const char *)bytes + len - rest, rest);
	enqueue(held, copy, rest);
	return queued;
}

void control_answer_give_up(struct control_held *held, int error)
{
	dequeue(held);
	set_error(held, error);
	enqueue(held, NULL, 0);
}

static void flush_queue(struct control_queue *queue)
{
	struct control_held *held;
	while ((held = STAILQ_FIRST(queue))) {
		size_t rest = held->made - held->sent;
		int r = send_answer(held, rest > 0 ? held->bytes + held->kept - rest : NULL);
		if (r == -EAGAIN)
			return;
		dequeue(held);
		if (held->making) { /* its handler goes on, or learns that it is in vain */
			held->state = HELD_HANDED;
			held->making_failed = -r;
		} else if (r < 0 && r != -EPIPE) {
			set_error(held, -r);
			enqueue(held, NULL, 0);
		} else {
			control_held_drop(held);
		}
	}
}

void control_answer_flush(struct control_peer *peer)
{
	/* Bulk first: what it gives up joins the other queue. */
	flush_queue(&peer->bulk_queue);
	flush_queue(&peer->inline_queue);
}
