/* SPDX-License-Identifier: MIT */
/*
 * The link on which the collector has the supervisor hold duplicates of shadow regions, so that a table
 * outlives its process, the collector, and both in either order. SOCK_SEQPACKET; one struct holding_message a
 * datagram, with one memfd (SCM_RIGHTS) where `fd` of its kind says so. The supervisor looks into none of
 * them, and into a note only for its inode.
 *
 * A collector is born with both ends of its link, for the next supervisor to copy (pidfd_getfd) after this one
 * was killed: what is on its way waits in the socket meanwhile.
 */
#pragma once

#include <stdint.h>

enum { HOLDING_MAX = 4096, HOLDING_BATCH = 32 };

enum holding_kind {
	/* From the collector. */
	HOLDING_KEEP = 1, /* fd: hold it, with this note; without: what is held of that inode has this note now */
	HOLDING_DROP,     /* of that inode */
	HOLDING_ASK,      /* what is held at `place` and behind it, a batch: answered by GIVEs and one END */
	/* From the supervisor. */
	HOLDING_GIVE,  /* fd: one that is held, with its note */
	HOLDING_END,   /* of a batch; place: where the next one begins, 0: there is no more */
	HOLDING_AGAIN, /* it holds nothing, being new: send all */
};

/* What the collector knows of a region beyond what is in it: its next one goes by that. */
struct holding_note {
	uint64_t inode; /* 0: none */
	uint64_t start_ticks, image;
	uint32_t pid, uid;
	uint32_t end; /* enum region_end */
	uint32_t ready;
	int64_t end_boot_ns;
};

struct holding_message {
	uint32_t kind;
	uint32_t place;
	struct holding_note note;
};

_Static_assert(sizeof(struct holding_message) == 56, "no holes on the wire");
