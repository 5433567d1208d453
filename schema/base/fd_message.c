/* SPDX-License-Identifier: MIT */
#include "schema/base/fd_message.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union room {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int fd_message_send(
	int socket, const struct sockaddr_un *to, const void *bytes, size_t len, int fd, int flags)
{
	union room room = { .header = {
				    .cmsg_len = CMSG_LEN(sizeof(int)),
				    .cmsg_level = SOL_SOCKET,
				    .cmsg_type = SCM_RIGHTS,
			    } };
	struct iovec part = { (void *)(uintptr_t)bytes, len };
	struct msghdr message = { .msg_name = (void *)(uintptr_t)to,
		.msg_namelen = to ? sizeof(*to) : 0,
		.msg_iov = &part,
		.msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&room.header), &fd, sizeof(fd));
		message.msg_control = room.bytes;
		message.msg_controllen = sizeof(room.bytes);
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t fd_message_receive(int socket, void *bytes, size_t len, int *ret_fd)
{
	union room room;
	struct iovec part = { bytes, len };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes) };
	int fd = -1;

	ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	const struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(first), sizeof(fd));
	*ret_fd = fd;
	return n;
}
