/* SPDX-License-Identifier: MIT */
/* The connection beneath the control client: socket calls, checks, segments. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fs/control_link.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/control_segment.h"

/*
 * A receive waits this long in recvmsg itself, which spares the poll that keeps a deadline; also how soon a
 * RELEASE that found the socket full is tried again.
 */
enum { LINGER_NS = 20000000 };

static struct timeval timeval_of(int64_t ns)
{
	if (ns < 1000)
		ns = 1000; /* 0 would mean for ever */
	return (struct timeval) { .tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000 };
}

static int set_timeout(int fd, int option, int64_t ns)
{
	struct timeval tv = timeval_of(ns);
	return setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

int control_link_open(const char *path, int64_t deadline_ns, struct control_link *ret_link)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = set_timeout(fd, SO_RCVTIMEO, LINGER_NS);
	/* connect waits for room in the backlog, as long as a send would. */
	if (r == 0 && deadline_ns != INT64_MAX)
		r = set_timeout(fd, SO_SNDTIMEO, deadline_ns - clock_monotonic_ns());
	if (r < 0)
		return r;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		return errno == ENOENT ? -ECONNREFUSED : -errno;
	}
	*ret_link = (struct control_link) { .fd = steal_fd(&fd) };
	return 0;
}

void control_link_deinit(struct control_link *link)
{
	close_fd(&link->fd);
	for (unsigned i = 0; i < CONTROL_SEGMENTS; i++)
		control_segment_unmap(link->segments[i]);
}

void control_link_shut(struct control_link *link)
{
	shutdown(link->fd, SHUT_RDWR);
}

/* Milliseconds for poll, rounded up: a poll that ends early would spin. */
static int wait_ms(int64_t deadline_ns)
{
	if (deadline_ns == INT64_MAX)
		return -1;
	int64_t left_ns = deadline_ns - clock_monotonic_ns();
	if (left_ns <= 0)
		return 0;
	int64_t left_ms = (left_ns + 999999) / 1000000;
	return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

static int send_datagram(struct control_link *link, const void *bytes, size_t n, int64_t deadline_ns)
{
	for (;;) {
		if (send(link->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EPIPE || errno == ECONNRESET)
			return -ECONNRESET;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		struct pollfd room = { .fd = link->fd, .events = POLLOUT };
		int n_ready = poll(&room, 1, wait_ms(deadline_ns));
		if (n_ready == 0)
			return -ETIMEDOUT;
		if (n_ready < 0 && errno != EINTR)
			return -errno;
	}
}

int control_link_send(struct control_link *link, const struct control_request *request, const char *payload,
	int64_t deadline_ns, bool *ret_begun)
{
	struct {
		struct control_request request;
		char payload[CONTROL_INLINE];
	} datagram;
	datagram.request = *request;
	datagram.request.offset = 0;
	do {
		uint32_t rest = request->total - datagram.request.offset;
		datagram.request.len = rest < CONTROL_INLINE ? rest : CONTROL_INLINE;
		datagram.request.released = atomic_load(&link->owed) ? atomic_exchange(&link->owed, 0) : 0;
		if (rest > 0)
			memcpy(datagram.payload, payload + datagram.request.offset, datagram.request.len);
		int r = send_datagram(
			link, &datagram, sizeof(datagram.request) + datagram.request.len, deadline_ns);
		if (r < 0) {
			atomic_fetch_or(&link->owed, datagram.request.released);
			return r;
		}
		*ret_begun = true;
		datagram.request.offset += datagram.request.len;
	} while (datagram.request.offset < request->total);
	return 0;
}

bool control_link_send_note(struct control_link *link, enum control_op op, uint64_t id)
{
	struct control_request note = {
		.version = CONTROL_VERSION, .op = op, .id = id, .released = atomic_exchange(&link->owed, 0)
	};
	if (send(link->fd, &note, sizeof(note), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	atomic_fetch_or(&link->owed, note.released);
	return false;
}

void control_link_release(struct control_link *link, unsigned segment, bool at_once)
{
	unsigned owed = atomic_fetch_or(&link->owed, 1u << segment) | 1u << segment;
	/* One kept back cannot starve another call: the others keep going round. */
	if (at_once || (owed & (owed - 1)))
		control_link_send_note(link, CONTROL_OP_RELEASE, 0);
}

static int check(const struct control_answer *answer, size_t n)
{
	if (n < sizeof(*answer) || answer->status > CONTROL_GONE || answer->total > CONTROL_ANSWER_MAX ||
		answer->offset > answer->total || answer->len > answer->total - answer->offset)
		return -EPROTO;
	if (answer->segment == CONTROL_NO_SEGMENT)
		return n - sizeof(*answer) == answer->len && answer->len == answer->total ? 0 : -EPROTO;
	if (answer->segment >= CONTROL_SEGMENTS || n != sizeof(*answer) || answer->len == 0 ||
		answer->len > CONTROL_SEGMENT)
		return -EPROTO;
	return 0;
}

/* Takes the descriptor out of a message, -1 where there is none. We make room for one, so there is no second.
 */
static int passed_fd(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len >= CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int receive_datagram(struct control_link *link, struct control_datagram *ret_datagram, int flags)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { ret_datagram, sizeof(*ret_datagram) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(link->fd, &message, flags | MSG_CMSG_CLOEXEC);
	/* A collector that died with our requests unread leaves this error before the answers it had sent. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(link->fd, &message, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? CONTROL_LINK_NOTHING : -errno;
	CLEANUP_CLOSE int fd = message.msg_controllen > 0 ? passed_fd(&message) : -1;
	if (n == 0)
		return -ECONNRESET;
	if (message.msg_flags & MSG_CTRUNC)
		return -EMFILE; /* there was a descriptor, and no room for it in our table */
	const struct control_answer *answer = &ret_datagram->answer;
	int r = message.msg_flags & MSG_TRUNC ? -EPROTO : check(answer, (size_t)n);
	if (r < 0)
		return r;
	if (answer->segment == CONTROL_NO_SEGMENT)
		return fd < 0 ? 0 : -EPROTO;
	bool mapped = link->segments[answer->segment];
	if (mapped == (fd >= 0))
		return -EPROTO;
	return mapped ? 0 : control_segment_map(fd, &link->segments[answer->segment]);
}

int control_link_receive(
	struct control_link *link, struct control_datagram *ret_datagram, int64_t now_ns, int64_t deadline_ns)
{
	bool linger = deadline_ns - now_ns >= LINGER_NS;
	int r = receive_datagram(link, ret_datagram, linger ? 0 : MSG_DONTWAIT);
	if (r != CONTROL_LINK_NOTHING)
		return r;
	bool owing = atomic_load(&link->owed);
	if (owing)
		control_link_send_note(link, CONTROL_OP_RELEASE, 0);
	int64_t retry_ns = clock_monotonic_ns() + LINGER_NS;
	struct pollfd input = { .fd = link->fd, .events = POLLIN };
	poll(&input, 1, wait_ms(owing && retry_ns < deadline_ns ? retry_ns : deadline_ns));
	return receive_datagram(link, ret_datagram, MSG_DONTWAIT);
}
