/* SPDX-License-Identifier: MIT */
/*
 * One connection of the control server: its calls in flight and its answers on their way. Internal to
 * control_*.c. The loop's thread alone receives and closes; answers come from any thread, under the lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "collector/control/control_server.h"
#include "schema/control_segment.h"

/* A call with what the handler does not see of it. In the peer's list from its first part until its answer
 * has left. */
struct control_held {
	struct control_call call;
	struct control_peer *peer;
	LIST_ENTRY(control_held) link;
	STAILQ_ENTRY(control_held) queue_link;
	uint64_t id;
	atomic_bool cancelled;
	enum { HELD_PARTS, HELD_HANDED, HELD_QUEUED } state; /* being received, with the handler, answered */
	bool bulk;                                           /* which queue it is in */
	bool making;       /* pieces are still to come: it stays the handler's, queued or not */
	int making_failed; /* errno: what was made could not be sent */
	uint32_t received; /* bytes of the payload */
	uint32_t status, error;
	size_t len, sent; /* bytes of the answer, and of those that left */
	size_t made;      /* of the answer that there are by now: all, but of one that comes in pieces */
	char *bytes;      /* queued: the last `kept` of those made */
	size_t kept;
	char payload[];
};

STAILQ_HEAD(control_queue, control_held);

struct control_peer {
	LIST_ENTRY(control_peer) link; /* the server's; loop's thread only */
	int epoll_fd;
	struct ucred cred;
	bool believed;

	pthread_mutex_t lock; /* of all below */
	int fd;
	bool dead;             /* closed: freed when the last call is */
	bool full;             /* the socket took no more */
	uint32_t armed;        /* epoll events asked for */
	atomic_uint in_flight; /* written under the lock, read by the loop without */
	LIST_HEAD(, control_held) held;
	/* Two queues: what waits for a segment must not hold up what only waits for room in the socket. */
	struct control_queue inline_queue, bulk_queue;
	size_t queued_bytes;
	unsigned n_segments, free_segments; /* the latter a mask */
	struct control_segment segments[CONTROL_SEGMENTS];
};

enum { CONTROL_DATAGRAM_MAX = sizeof(struct control_request) + CONTROL_INLINE };

enum control_peer_outcome {
	CONTROL_PEER_DRAINED = 1, /* nothing to read, or not to be read now */
	CONTROL_PEER_BROKEN,      /* ended, or broke the protocol: to be closed */
};

/* Takes a connected socket over and watches it in epoll_fd with the peer as data; on failure it is closed. */
int control_peer_new(int fd, int epoll_fd, uid_t server_uid, struct control_peer **ret_peer);

/* Closes the connection; the peer goes with its last call, maybe later. */
void control_peer_close(struct control_peer *peer);

/*
 * Receives one datagram into scratch (CONTROL_DATAGRAM_MAX + 1 bytes). 0: dealt with; *ret_call is the call
 * that it completed, or NULL. Else a control_peer_outcome.
 */
int control_peer_receive(struct control_peer *peer, char *scratch, struct control_call **ret_call);

/* Sends what was queued, after the socket has room again. */
void control_peer_flush(struct control_peer *peer);

/* control_answer.c; all with the lock held. */

/* Sends the answer or queues a copy. True: it has left (or leads nowhere), the call can go. */
bool control_answer_post(
	struct control_held *held, enum control_status status, int error, const void *bytes, size_t len);
/* Sends a further piece of an answer, or queues a copy. */
enum control_part {
	CONTROL_PART_TAKEN,  /* more may come */
	CONTROL_PART_LEFT,   /* the whole answer, or nobody is there: the call can go */
	CONTROL_PART_QUEUED, /* the end of the answer, or an error in its place: it goes with it */
};
enum control_part control_answer_post_part(
	struct control_held *held, uint64_t total, const void *bytes, size_t len);
/* Sends queued answers as far as they go; those that left are removed and freed. */
void control_answer_flush(struct control_peer *peer);
/* Turns a queued answer into CONTROL_ERROR with this errno. */
void control_answer_give_up(struct control_held *held, int error);
/* Asks epoll for what the peer's state calls for. */
void control_peer_arm(struct control_peer *peer);
/* Takes a call out of the lists and frees it. */
void control_held_drop(struct control_held *held);
