/* SPDX-License-Identifier: MIT */
/*
 * The collector's end of the control channel (schema/control.h). It lives in one thread's epoll loop: watch
 * control_server_fd() for input and call control_server_dispatch() when it has some. Nothing here blocks on a
 * client.
 *
 * A whole request becomes a call, given to the handler in that thread. The handler answers at once, or keeps
 * the call and answers it later from any thread; every call must be answered exactly once. CONTROL_OP_PING
 * never reaches the handler. Limits: CONTROL_CONNECTIONS, fewer for peers that are not believed,
 * CONTROL_IN_FLIGHT calls each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/base/kv.h"
#include "schema/control.h"

enum {
	CONTROL_CONNECTIONS = 64,
	CONTROL_STRANGERS = 16,        /* connections of peers that are not believed */
	CONTROL_OF_ONE_STRANGER = 4,   /* of one uid among them */
	CONTROL_QUEUE_MAX = 128 << 20, /* bytes of one connection's answers that wait; beyond: ENOBUFS */
};

struct control_server;

/* A request, to be read only; valid until it is answered. */
struct control_call {
	enum control_op op;
	/*
	 * On whose behalf. `believed`: the peer runs as the server's user or root, and these are what it
	 * said; otherwise they are the peer's own uid and pid as the kernel tells them, whatever it said.
	 */
	uid_t uid;
	pid_t tgid;
	bool believed;
	uint64_t pid, start_ticks; /* the subject, where the op has one */
	struct span payload;       /* at most CONTROL_PAYLOAD_MAX */
};

typedef void control_handler(void *ctx, struct control_call *call);

/*
 * Serves a listening SOCK_SEQPACKET socket, which stays the caller's, must outlive the server and is made
 * non-blocking. Peers with server_uid or uid 0 are believed. Returns 0 or -errno.
 */
int control_server_new(int listen_fd, uid_t server_uid, control_handler *handler, void *ctx,
	struct control_server **ret_server);

/* Closes all connections. Calls not yet answered are cancelled, still must be answered, and lead nowhere.
 * Takes NULL. */
void control_server_free(struct control_server *server);

int control_server_fd(const struct control_server *server);

/* Handles some of what is there and returns; what is left makes the descriptor readable again. */
void control_server_dispatch(struct control_server *server);

/*
 * Answers and consumes a call, in any thread; copies what it cannot send at once. error is the errno of
 * CONTROL_ERROR, whose bytes are the reason. Never blocks on the client and cannot fail: where the client is
 * gone or did not take its answers, this one is dropped or replaced by CONTROL_ERROR.
 */
void control_call_answer(
	struct control_call *call, enum control_status status, int error, const void *bytes, size_t len);

/*
 * The same piece by piece, for a long one that is still being made: total is that of all pieces, more than
 * CONTROL_INLINE. A piece is sent or copied. False where the call is consumed: all of it was given, or nobody
 * wants more, or there was no room, which the client is told. Pieces of a call come from one thread.
 */
bool control_call_answer_part(struct control_call *call, uint64_t total, const void *bytes, size_t len);

/* Whether nobody waits for the answer any more. Any thread, until the call is answered. */
bool control_call_cancelled(const struct control_call *call);
