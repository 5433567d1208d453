/* SPDX-License-Identifier: MIT */
/*
 * memfs-symbols UID GID: started by memfs-collector with a socket as descriptor 3, over which it is given
 * files and asked for names. It gives up all rights first, and ends with its socket. A program of its own, so
 * that no part of libdw is in the collector, and nothing of the collector in here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/symbols/child/answer.h"
#include "collector/symbols/child/sandbox.h"
#include "schema/base/cleanup.h"
#include "schema/base/log.h"
#include "schema/base/num.h"

static int send_packet(void *ctx, const void *packet, size_t n)
{
	struct iovec part = { (void *)(uintptr_t)packet, n };
	const struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;

	do
		sent = sendmsg(WIRE_SOCKET, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Length of the packet, 0 at the end, or -errno; a descriptor that came along, or -1. */
static ssize_t receive_packet(uint8_t *packet, size_t cap, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { packet, cap };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;

	do
		n = recvmsg(WIRE_SOCKET, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
		head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	return n;
}

static int converse(struct answerer *answerer)
{
	const struct wire_head ready = { WIRE_READY, WIRE_VERSION, 0, 0 };
	uint8_t packet[WIRE_PACKET_MAX];
	int r = send_packet(NULL, &ready, sizeof(ready));

	while (!r) {
		int fd = -1;
		ssize_t n = receive_packet(packet, sizeof(packet), &fd);
		if (n <= 0)
			return (int)n;
		r = answerer_take(answerer, packet, (size_t)n, fd);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct answerer *answerer;
	uint64_t uid, gid;

	log_set("memfs-symbols", LOG_LEVEL_INFO);
	if (argc != 3 || !num_parse_whole(argv[1], strlen(argv[1]), &uid) ||
		!num_parse_whole(argv[2], strlen(argv[2]), &gid) || uid > INT32_MAX || gid > INT32_MAX) {
		fputs("memfs-symbols: memfs-collector starts it\n", stderr);
		return 2;
	}
	int r = sandbox_enter((uid_t)uid, (gid_t)gid);
	if (r < 0) {
		log_error("rights cannot be given up: %s", strerror(-r));
		return 1;
	}
	r = answerer_new(send_packet, NULL, &answerer);
	if (!r)
		r = converse(answerer);
	/* Without taking apart what the kernel takes back. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		log_error("the conversation ended: %s", strerror(-r));
	_exit(r < 0);
}
