/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The socket where programs offer what they record (schema/shadow.h), not bound yet: SOCK_DGRAM, each
 * datagram with its sender's pid, and with a descriptor of it where the kernel gives one (Linux 6.5). The
 * kernel lets few datagrams wait (net.unix.max_dgram_qlen, 10 by custom), which senders that never wait fill
 * in a moment; where it may, this one is made in a network namespace of its own that lets many wait, which
 * changes nothing else, for sockets with a path are found by it from everywhere. The caller's, or -errno.
 */
int offers_socket(void);
