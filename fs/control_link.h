/* SPDX-License-Identifier: MIT */
/*
 * One connection to the collector: datagrams out and in, the segments it passed us, mapped, and those owed
 * back. Internal to control_*.c. Whoever sends needs no lock; only one thread at a time may receive.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/control.h"

struct control_link {
	int fd;
	const void *segments[CONTROL_SEGMENTS];
	atomic_uint owed; /* mask of segments to give back */
};

enum { CONTROL_PATH_MAX = 108 }; /* with its NUL: sun_path */

enum control_link_outcome { CONTROL_LINK_NOTHING = 1 }; /* nothing came in time */

struct control_datagram {
	struct control_answer answer;
	char bytes[CONTROL_INLINE];
};

/* Connects; deadline_ns of CLOCK_MONOTONIC. Returns 0, -ECONNREFUSED where nobody listens, -ETIMEDOUT, or
 * -errno. */
int control_link_open(const char *path, int64_t deadline_ns, struct control_link *ret_link);
void control_link_deinit(struct control_link *link);

/* Ends the connection for both sides; whoever receives on it sees the end. */
void control_link_shut(struct control_link *link);

/*
 * Sends a request whose payload's parts follow from payload (request->total bytes), and the segments owed
 * with it. Returns 0, -ECONNRESET where the collector cannot have got all of it, -ETIMEDOUT, or -errno.
 */
int control_link_send(struct control_link *link, const struct control_request *request, const char *payload,
	int64_t deadline_ns, bool *ret_begun);

/* Sends a request without payload, and the segments owed; false where there is no room. */
bool control_link_send_note(struct control_link *link, enum control_op op, uint64_t id);

/* Owes a segment; `at_once`: the collector may be waiting for it, else the next request may carry it. */
void control_link_release(struct control_link *link, unsigned segment, bool at_once);

/*
 * Receives one answer, waiting from now_ns until deadline_ns. 0: checked, and its segment, if any, is mapped.
 * Else CONTROL_LINK_NOTHING, -ECONNRESET at the end, -EPROTO, -EPERM (a segment without seals) or -errno, all
 * of them of the connection, not of one call.
 */
int control_link_receive(struct control_link *link, struct control_datagram *ret_datagram, int64_t now_ns,
	int64_t deadline_ns);
