/* SPDX-License-Identifier: MIT */
#include "collector/connector.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/*
 * The kernel's structures by offset: those of older kernels are shorter, and what arrives is bytes. In struct
 * proc_event (linux/cn_proc.h): what, cpu, timestamp, then the union.
 */
enum {
	AT_WHAT = 0,
	AT_TIME = 8,
	AT_DATA = 16,
	RECEIVE_BYTES = 16 << 20, /* 20,000 events that the kernel counts at 768 bytes each */
	BATCH = 32,
	DATAGRAM = 512,
	WHAT_FORK = 0x00000001,
	WHAT_EXEC = 0x00000002,
	WHAT_UID = 0x00000004,
	WHAT_GID = 0x00000040,
	WHAT_COMM = 0x00000200,
};

#define WHAT_EXIT UINT32_C(0x80000000)

static bool get_u32(const unsigned char *bytes, size_t len, size_t at, uint32_t *ret)
{
	if (at + sizeof(*ret) > len)
		return false;
	memcpy(ret, bytes + at, sizeof(*ret));
	return true;
}

static bool get_changed(uint32_t what, const unsigned char *bytes, size_t len, struct connector_event *event)
{
	if (what == WHAT_COMM) {
		if (len < 8 + sizeof(event->comm))
			return false;
		memcpy(event->comm, bytes + 8, sizeof(event->comm) - 1);
		return true;
	}
	event->has_uid = what == WHAT_UID;
	event->has_gid = what == WHAT_GID;
	return get_u32(bytes, len, 8, event->has_uid ? &event->uid : &event->gid);
}

static void parse_event(const unsigned char *bytes, size_t len, connector_fn *fn, void *ctx)
{
	struct connector_event event = { 0 };
	uint32_t what, pid, tgid, status;

	if (!get_u32(bytes, len, AT_WHAT, &what))
		return;
	if (len >= AT_DATA)
		memcpy(&event.time_ns, bytes + AT_TIME, sizeof(event.time_ns));
	bytes += len < AT_DATA ? len : AT_DATA;
	len -= len < AT_DATA ? len : AT_DATA;

	switch (what) {
	case 0: /* the answer to a subscription: an errno */
		if (!get_u32(bytes, len, 0, &status))
			return;
		event.kind = status == 0 ? CONNECTOR_LISTENING : CONNECTOR_REFUSED;
		fn(ctx, &event);
		return;
	case WHAT_FORK: /* of the parent pid, tgid; of the child the same */
		if (!get_u32(bytes, len, 4, &event.parent) || !get_u32(bytes, len, 8, &pid) ||
			!get_u32(bytes, len, 12, &tgid))
			return;
		event.kind = CONNECTOR_FORK;
		break;
	case WHAT_EXEC:
	case WHAT_UID:
	case WHAT_GID:
	case WHAT_COMM:
	case WHAT_EXIT:
		if (!get_u32(bytes, len, 0, &pid) || !get_u32(bytes, len, 4, &tgid))
			return;
		event.kind = what == WHAT_EXEC ? CONNECTOR_EXEC : CONNECTOR_CHANGED;
		if (what == WHAT_EXIT) {
			if (!get_u32(bytes, len, 8, &status))
				return;
			event.kind = CONNECTOR_EXIT;
			event.wait_status = (int)status;
		} else if (event.kind == CONNECTOR_CHANGED && !get_changed(what, bytes, len, &event)) {
			return;
		}
		break;
	default:
		return;
	}
	/* One thread's change of uid may be the whole process's; only its leader's counts for /proc/PID. */
	if (pid != tgid || pid == 0 || pid > INT32_MAX)
		return;
	event.pid = pid;
	fn(ctx, &event);
}

void connector_parse(const void *bytes, size_t len, connector_fn *fn, void *ctx)
{
	const unsigned char *at = bytes;

	while (len >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr header;
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len)
			return;
		size_t payload = header.nlmsg_len - sizeof(header);
		struct cn_msg message;
		if (payload >= sizeof(message) && header.nlmsg_type == NLMSG_DONE) {
			memcpy(&message, at + sizeof(header), sizeof(message));
			if (message.id.idx == CN_IDX_PROC && message.id.val == CN_VAL_PROC &&
				message.len <= payload - sizeof(message))
				parse_event(at + sizeof(header) + sizeof(message), message.len, fn, ctx);
		}
		size_t step = NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (step >= len)
			return;
		at += step;
		len -= step;
	}
}

static int subscribe(int fd, enum proc_cn_mcast_op op)
{
	const struct nlmsghdr header = {
		.nlmsg_len = sizeof(header) + sizeof(struct cn_msg) + sizeof(op),
		.nlmsg_type = NLMSG_DONE,
	};
	const struct cn_msg message = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(op) };
	char request[sizeof(header) + sizeof(message) + sizeof(op)];
	memcpy(request, &header, sizeof(header));
	memcpy(request + sizeof(header), &message, sizeof(message));
	memcpy(request + sizeof(header) + sizeof(message), &op, sizeof(op));
	return send(fd, request, sizeof(request), 0) == (ssize_t)sizeof(request) ? 0 : -errno;
}

/*
 * Births and ends of threads are dropped in the kernel: a program that makes many must not fill our queue.
 * Offsets are of the datagram; the filter loads words in network order.
 */
static int drop_threads(int fd)
{
	enum { EVENT = sizeof(struct nlmsghdr) + sizeof(struct cn_msg), DATA = EVENT + AT_DATA };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, EVENT + AT_WHAT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(WHAT_FORK), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA + 8),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA + 12),
		BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(WHAT_EXIT), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA + 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : -errno;
}

int connector_open(void)
{
	CLEANUP_CLOSE int fd =
		socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	if (fd < 0)
		return -errno;
	int bytes = RECEIVE_BYTES;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		drop_threads(fd); /* without it they are dropped here */
	int r = subscribe(fd, PROC_CN_MCAST_LISTEN);
	return r < 0 ? r : steal_fd(&fd);
}

void connector_close(int fd)
{
	if (fd < 0)
		return;
	subscribe(fd, PROC_CN_MCAST_IGNORE);
	close(fd);
}

int connector_read(int fd, unsigned max, connector_fn *fn, void *ctx)
{
	unsigned char bytes[BATCH][DATAGRAM];
	struct sockaddr_nl from[BATCH];
	struct iovec part[BATCH];
	struct mmsghdr message[BATCH];

	while (max > 0) {
		unsigned want = max < BATCH ? max : BATCH;
		memset(message, 0, sizeof(message));
		for (unsigned i = 0; i < want; i++) {
			part[i] = (struct iovec) { bytes[i], DATAGRAM };
			message[i].msg_hdr = (struct msghdr) { .msg_name = &from[i],
				.msg_namelen = sizeof(from[i]),
				.msg_iov = &part[i],
				.msg_iovlen = 1 };
		}
		int n = recvmmsg(fd, message, want, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ENOBUFS)
			return CONNECTOR_OVERRUN;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? CONNECTOR_EMPTY : -errno;
		for (int i = 0; i < n; i++) /* from the kernel, not from a process that sends to our port */
			if (message[i].msg_hdr.msg_namelen == sizeof(from[i]) && from[i].nl_pid == 0)
				connector_parse(bytes[i], message[i].msg_len, fn, ctx);
		if ((unsigned)n < want)
			return CONNECTOR_EMPTY;
		max -= (unsigned)n;
	}
	return CONNECTOR_MORE;
}
