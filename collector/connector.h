/* SPDX-License-Identifier: MIT */
/*
 * The kernel's proc connector: births, execs, changes of name and owner, and ends, as they happen, by
 * netlink. It takes CAP_NET_ADMIN in the first namespaces; without, opening fails or no acknowledgement ever
 * comes, and listings of /proc tell the same later.
 *
 * Threads are none of our business: only events of thread group leaders come out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum connector_kind {
	CONNECTOR_LISTENING = 1, /* the kernel took our subscription: from here on nothing is missed */
	CONNECTOR_REFUSED,
	CONNECTOR_FORK,
	CONNECTOR_EXEC,
	CONNECTOR_CHANGED, /* uid, gid or comm */
	CONNECTOR_EXIT,
};

enum { CONNECTOR_COMM = 16 };

struct connector_event {
	enum connector_kind kind;
	uint32_t pid;
	int wait_status;           /* CONNECTOR_EXIT: as wait(2) gives it */
	uint64_t time_ns;          /* CLOCK_MONOTONIC */
	uint32_t parent;           /* CONNECTOR_FORK: its process */
	bool has_uid, has_gid;     /* CONNECTOR_CHANGED: which of them is new */
	uint32_t uid, gid;         /* real */
	char comm[CONNECTOR_COMM]; /* CONNECTOR_CHANGED: NUL-terminated; empty where the name is not new */
};
typedef void connector_fn(void *ctx, const struct connector_event *event);

/* The events of one datagram, in order; what is not understood is passed over. Pure; survives any bytes. */
void connector_parse(const void *bytes, size_t len, connector_fn *fn, void *ctx);

/* Opens and subscribes. Returns the descriptor, which becomes readable, or -errno. */
int connector_open(void);

/* Ends the subscription and closes. */
void connector_close(int fd);

enum connector_outcome {
	CONNECTOR_EMPTY = 0,  /* nothing is left to read */
	CONNECTOR_MORE = 1,   /* the bound was reached */
	CONNECTOR_OVERRUN = 2 /* the kernel dropped events: list /proc */
};

/* Reads at most `max` datagrams. An outcome, or -errno: the socket is of no use any more. */
int connector_read(int fd, unsigned max, connector_fn *fn, void *ctx);
