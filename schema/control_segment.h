/* SPDX-License-Identifier: MIT */
/*
 * The segments of the control channel: memfds of CONTROL_SEGMENT bytes that can neither shrink nor grow, so
 * that a reader never meets SIGBUS. The server makes and writes them; what it wrote can be mapped by others
 * for reading only.
 */
#pragma once

struct control_segment {
	void *bytes; /* CONTROL_SEGMENT of them, mapped for writing; NULL: not made */
	int fd;      /* to pass once; -1 after that, the mapping stays */
};

/* Makes a sealed segment. Returns 0 or -errno. */
int control_segment_make(struct control_segment *ret_segment);
void control_segment_deinit(struct control_segment *segment);

/*
 * Maps a segment received in fd for reading, into *ret_bytes; fd stays the caller's. Returns 0, -EPERM where
 * the seals against resizing are missing, -EINVAL where it is no memfd or not of the right size, or another
 * -errno.
 */
int control_segment_map(int fd, const void **ret_bytes);
void control_segment_unmap(const void *bytes); /* takes NULL */
