/* SPDX-License-Identifier: MIT */
/* Datagrams of a UNIX socket that carry a descriptor. Neither waits unless it is told to. */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

/*
 * Sends bytes, with a duplicate of fd unless that is -1, to an address or, NULL, where the socket is
 * connected. flags are sendmsg's; no signal comes. 0 or -errno.
 */
int fd_message_send(
	int socket, const struct sockaddr_un *to, const void *bytes, size_t len, int fd, int flags);

/*
 * The next datagram, without waiting; *ret_fd is the caller's, -1 where none came with it. Its length, 0
 * where there will be none any more, or -errno.
 */
ssize_t fd_message_receive(int socket, void *bytes, size_t len, int *ret_fd);
