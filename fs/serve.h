/* SPDX-License-Identifier: MIT */
/*
 * `memfs serve`: the tree behind FUSE, without privilege. Started by the supervisor with the descriptors
 * below, which it also keeps: a serve that dies is replaced on the same connection.
 */
#pragma once

#include <stdint.h>

enum serve_fd {
	SERVE_FD_MAIN = 3, /* /dev/fuse of the main session */
	SERVE_FD_LIVE,     /* of the live session; /dev/null in a single one */
	SERVE_FD_BOARD,    /* read-only */
	SERVE_FD_KEEP,     /* what outlives a serve */
	SERVE_FD_INIT,     /* the recorded FUSE_INITs: of each session a 32-bit length and the bytes */
	SERVE_FD_LINK,     /* SEQPACKET to the supervisor: a struct serve_message each */
	SERVE_FDS_END,
};

enum serve_message_kind {
	SERVE_LIFE = 'l',      /* serve: the thread whose end means that serve has ended */
	SERVE_READY = 'r',     /* serve: requests are answered */
	SERVE_PING = 'p',      /* supervisor: are you well? answered in kind */
	SERVE_UNMOUNTED = 'u', /* serve: somebody unmounted the main session */
	SERVE_REMOUNT = 'm',   /* serve: this kernel cannot hand a connection on, mount anew */
};

struct serve_message {
	int32_t kind; /* enum serve_message_kind */
	int32_t tid;  /* SERVE_LIFE */
};

/*
 * A serve that was killed may linger: its ticker waits in the kernel for a request that only the successor
 * will answer, and until then no one is told of the death of the process as a whole. So a thread without
 * duties stands for it, and pidfds of threads tell (Linux 6.9; for the first thread of a process no longer
 * since 6.15, so it is another).
 */

/* Runs serve; argv are options as of options_put. Returns an exit status. */
int serve_main(int argc, char **argv);
