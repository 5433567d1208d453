/* SPDX-License-Identifier: MIT */
/*
 * The asking end of the control channel (schema/control.h). One connection is shared by all threads, with up
 * to CONTROL_IN_FLIGHT calls on it; more wait their turn. There is no thread of its own: of the callers that
 * wait, one receives for all. The connection is made with the first call, and again with the next one after
 * it was lost.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"
#include "schema/control.h"

struct control_client;

/*
 * Sees a part of a CONTROL_OK answer in place: bytes are valid until it returns, parts come in order. After a
 * lost connection it begins again at offset 0. It runs in the caller's thread, and should be brief, for it
 * holds one of few segments. Negative: ends the call with this value.
 */
typedef int control_visit(void *ctx, const void *bytes, size_t len, uint64_t offset, uint64_t total);

struct control_ask {
	enum control_op op;
	uint32_t uid, tgid; /* of whoever made the system call */
	uint64_t pid, start_ticks;
	struct span payload;  /* at most CONTROL_PAYLOAD_MAX */
	bool idempotent;      /* may be sent once more where it is not known whether the first was applied */
	control_visit *visit; /* NULL: the answer goes to the reply's bytes */
	void *visit_ctx;
};

struct control_reply {
	enum control_status status;
	int error;        /* errno of CONTROL_ERROR */
	struct buf bytes; /* the answer; of CONTROL_ERROR the reason, not NUL-terminated */
};
#define CONTROL_REPLY_INIT ((struct control_reply) { .bytes = BUF_INIT })

void control_reply_deinit(struct control_reply *reply);

/* Does not connect yet. Returns 0, -ENAMETOOLONG or -ENOMEM. */
int control_client_new(const char *socket_path, struct control_client **ret_client);
void control_client_free(struct control_client *client); /* no call may be under way; takes NULL */

/*
 * Asks and waits, at most timeout_ms (negative: without end); any thread. reply was CONTROL_REPLY_INIT, or of
 * an earlier call: its memory is used again. *cancelled (may be NULL) set to true ends the call within
 * CONTROL_CANCEL_MS, but not before it has waited CONTROL_PATIENCE_MS: who is told of a child's death while
 * it writes wants the write, which takes no time, and not to be told that it was interrupted.
 *
 * Returns 0 when the collector answered, with the reply filled; else nothing but its memory has changed, and:
 *
 *   -ECONNREFUSED  nobody listens
 *   -ETIMEDOUT     no answer in time; it may have been applied
 *   -ECANCELED     the same for a cancelled call
 *   -ECONNRESET    the connection was lost, of an idempotent call twice; another may have been applied
 *   -EMSGSIZE      the payload is too long
 *   -EPROTO        the collector broke the protocol
 *   -EPERM         its segment is not sealed
 *
 * or what visit returned, or another -errno.
 */
int control_client_call(struct control_client *client, const struct control_ask *ask,
	struct control_reply *reply, int timeout_ms, const atomic_bool *cancelled);
enum { CONTROL_CANCEL_MS = 50, CONTROL_PATIENCE_MS = 500 };
