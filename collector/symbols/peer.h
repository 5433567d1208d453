/* SPDX-License-Identifier: MIT */
/*
 * The child process from its parent's side: started, asked, ended. One thread has it. Of the child nothing is
 * believed: an answer that is no answer to the question is as good as its death.
 */
#pragma once

#include <sys/types.h>

#include "collector/symbols/wire.h"

enum { PEER_LINGERING_MAX = 4 };

struct peer {
	const char *program;
	uid_t uid;
	gid_t gid;
	pid_t pid; /* 0: there is none */
	int pidfd, sock;
	uint32_t sequence;
	/* Killed, and not gone yet: one may hang in the kernel, over a file on a network. */
	struct {
		pid_t pid;
		int pidfd;
	} lingering[PEER_LINGERING_MAX];
	struct buf out;
	uint8_t in[WIRE_PACKET_MAX];
};

void peer_init(struct peer *peer, const char *program, uid_t uid, gid_t gid);

/* Starts a child and waits until it is ready. 0; -EBUSY where too many linger; -errno. */
int peer_start(struct peer *peer, int64_t until_monotonic_ns);

/* Kills the child if there is one, whatever it does. */
void peer_end(struct peer *peer);
void peer_deinit(struct peer *peer);

/*
 * Questions. 0; -ETIME where the answer was not there in time; -EPIPE where the child died or said what is
 * none; after both the child must be ended.
 */
int peer_open(struct peer *peer, uint32_t slot, int fd, int64_t until_monotonic_ns, struct wire_identity *ret,
	struct wire_load ret_load[static WIRE_LOADS_MAX], unsigned *ret_n);
int peer_close(struct peer *peer, uint32_t slot, int64_t until_monotonic_ns);

/* Calls take for each address in turn; the symbol is valid in the call. */
typedef void peer_take_symbol(void *ctx, size_t i, const struct wire_symbol *symbol);
int peer_resolve(struct peer *peer, uint32_t slot, const uint64_t *address, uint32_t n,
	int64_t until_monotonic_ns, peer_take_symbol *take, void *ctx);

int peer_space(struct peer *peer, uint32_t space, const struct wire_module *module, uint32_t n,
	int64_t until_monotonic_ns);
int peer_unwind(struct peer *peer, uint32_t space, const struct wire_registers *registers,
	const uint8_t *bytes, uint32_t n, int64_t until_monotonic_ns,
	uint64_t ret_address[static WIRE_FRAMES_MAX], unsigned *ret_n, bool *ret_cut);
