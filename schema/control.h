/* SPDX-License-Identifier: MIT */
/*
 * The control channel: how serve and the doors ask the collector for what takes rights or time.
 * SOCK_SEQPACKET, one datagram a message; this header is the wire. The collector serves the socket that the
 * supervisor made and holds, so connections made while no collector lives wait in its backlog.
 *
 * A request names the caller (uid and thread group of whoever made the system call), which the collector
 * trusts only of a peer whose own uid is the server's or root's. Several requests may be in flight on a
 * connection; answers come in any order, by id. An answer of more than CONTROL_INLINE bytes stands in
 * segments: memfds sealed against resizing, made by the collector for that connection alone, passed once
 * (SCM_RIGHTS with the first answer that uses one) and reused. A segment belongs to the client from the
 * answer until its release. Answers longer than a segment come in parts, in order. Every request but RELEASE
 * and CANCEL gets one whole answer, a cancelled one too. Of an answer begun with CONTROL_OK the rest may be
 * replaced by one of another status, which ends it.
 */
#pragma once

#include <stdint.h>

#include "schema/note.h"

enum {
	CONTROL_VERSION = 1,
	CONTROL_INLINE = 4096,     /* bytes of payload within a datagram */
	CONTROL_SEGMENT = 1 << 20, /* bytes of a segment */
	CONTROL_SEGMENTS = 4,      /* of one connection */
	CONTROL_IN_FLIGHT = 64,    /* requests of one connection; beyond, it is not read until answers left */
	CONTROL_PAYLOAD_MAX = 128 << 10, /* of a request; longer than CONTROL_INLINE: in parts, in order */
	CONTROL_ANSWER_MAX = 64 << 20,   /* bytes; longer ones become CONTROL_ERROR with EFBIG */
};

enum control_op {
	CONTROL_OP_RELEASE = 1, /* does nothing but carry `released`; not answered */
	CONTROL_OP_CANCEL,      /* request `id` is to be answered as soon as can be; not answered itself */
	CONTROL_OP_PING,        /* answered with its payload */
	CONTROL_OP_MEASURE,     /* pss, uss, dirty of (pid, start_ticks): struct control_measured */
	CONTROL_OP_CONFIG,      /* payload: what was written to config */
	CONTROL_OP_ALERTS,      /* the same, to alerts */
	CONTROL_OP_TAGS,        /* the same, to tags */
	CONTROL_OP_FILE, /* payload: the name of a file of (pid, start_ticks); its bytes, for the caller */
	CONTROL_OP_RESET_PEAK,     /* VmHWM of (pid, start_ticks) is to start anew, for the caller */
	CONTROL_OP_LEAK_TRACE,     /* payload: what was written to leaks/trace of (pid, start_ticks) */
	CONTROL_OP_LEAK_MIN_AGE,   /* the same, to leaks/min_age */
	CONTROL_OP_LEAK_COUNT,     /* somebody looks at the totals of (pid, start_ticks): count them soon */
	CONTROL_OP_LEAKS,          /* the call sites of all traced processes that the caller may look into */
	CONTROL_OP_LEAKS_OF,       /* payload: pids (uint32_t); their call sites, merged */
	CONTROL_OP_LEAKS_SKIP,     /* payload: what was written to leaks_skip */
	CONTROL_OP_LEAKS_SUPPRESS, /* the same, to leaks_suppress */
	N_CONTROL_OPS,
};

/* The note that an operation writes; N_NOTES of the others. */
static inline enum note control_note(uint32_t op)
{
	switch (op) {
	case CONTROL_OP_ALERTS:
		return NOTE_ALERTS;
	case CONTROL_OP_TAGS:
		return NOTE_TAGS;
	case CONTROL_OP_LEAKS_SKIP:
		return NOTE_LEAKS_SKIP;
	case CONTROL_OP_LEAKS_SUPPRESS:
		return NOTE_LEAKS_SUPPRESS;
	default:
		return N_NOTES;
	}
}

enum control_status {
	CONTROL_OK,
	CONTROL_ERROR,     /* error has the errno, the payload the reason */
	CONTROL_NOT_FOUND, /* no such object: ENOENT */
	CONTROL_GONE,      /* the process ended: ESRCH */
};

struct control_request {
	uint32_t version; /* up to and with id the same in every version */
	uint32_t op;
	uint64_t id;   /* chosen by the client, unique among those in flight */
	uint32_t uid;  /* of the caller */
	uint32_t tgid; /* of the caller */
	uint64_t pid;  /* the subject, where the op has one */
	uint64_t start_ticks;
	uint32_t released; /* bit i: segment i is given back; with any op, which spares a datagram */
	uint32_t total;    /* bytes of the whole payload */
	uint32_t offset;   /* of this part in it */
	uint32_t len;      /* of this part; the bytes follow */
};

struct control_answer {
	uint64_t id;
	uint32_t status;  /* enum control_status */
	uint32_t error;   /* errno of CONTROL_ERROR */
	uint64_t total;   /* bytes of the whole answer */
	uint64_t offset;  /* of this part in it */
	uint32_t len;     /* of this part */
	uint32_t segment; /* where it stands; CONTROL_NO_SEGMENT: the bytes follow */
};
#define CONTROL_NO_SEGMENT UINT32_MAX

_Static_assert(
	sizeof(struct control_request) == 56 && sizeof(struct control_answer) == 40, "no holes on the wire");

/* Payload of the answer to CONTROL_OP_MEASURE: bytes. */
struct control_measured {
	uint64_t pss, uss, dirty;
	int64_t measured_ns; /* epoch; up to a second back: a process is measured at most once a second */
};
