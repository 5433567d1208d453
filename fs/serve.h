/* SPDX-License-Identifier: MIT */
/*
 * `memfs serve`: the tree behind FUSE, without privilege. Started by the supervisor with the descriptors
 * below, which it also keeps: a serve that dies is replaced on the same connection.
 */
#pragma once

enum serve_fd {
	SERVE_FD_MAIN = 3, /* /dev/fuse of the main session */
	SERVE_FD_LIVE,     /* of the live session; /dev/null in a single one */
	SERVE_FD_BOARD,    /* read-only */
	SERVE_FD_KEEP,     /* what outlives a serve */
	SERVE_FD_INIT,     /* the recorded FUSE_INITs: of each session a 32-bit length and the bytes */
	SERVE_FD_LINK,     /* SEQPACKET to the supervisor: one byte a message, below */
	SERVE_FDS_END,
};

enum serve_message {
	SERVE_READY = 'r',     /* serve: requests are answered */
	SERVE_PING = 'p',      /* supervisor: are you well? answered in kind */
	SERVE_UNMOUNTED = 'u', /* serve: somebody unmounted the main session */
};

/* How serve ends. */
enum serve_exit {
	SERVE_EXIT_UNMOUNTED = 0,
	SERVE_EXIT_FAILED = 1,
	SERVE_EXIT_REMOUNT = 11, /* this kernel cannot hand a connection on: mount anew */
};

/* Runs serve; argv are options as of options_put. Returns an exit status. */
int serve_main(int argc, char **argv);
