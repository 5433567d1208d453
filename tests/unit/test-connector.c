/* SPDX-License-Identifier: MIT */
/* The proc connector: datagrams as the kernel makes them, torn and false ones, and the kernel itself where it
 * may be asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/connector.h"
#include "schema/base/clock.h"

#define TIME_NS UINT64_C(123456789012345)

struct seen {
	unsigned n;
	struct connector_event event[16];
};

static void see(void *ctx, const struct connector_event *event)
{
	struct seen *seen = ctx;
	if (seen->n < 16)
		seen->event[seen->n] = *event;
	seen->n++;
}

/* Appends one message; returns the new length. */
static size_t put(unsigned char *bytes, size_t at, uint32_t what, const uint32_t *data, size_t n_data)
{
	struct nlmsghdr header = { .nlmsg_type = NLMSG_DONE };
	struct cn_msg message = { .id = { CN_IDX_PROC, CN_VAL_PROC } };
	unsigned char event[sizeof(struct proc_event)] = { 0 };

	memcpy(event, &what, sizeof(what));
	memcpy(event + offsetof(struct proc_event, timestamp_ns), &(uint64_t) { TIME_NS }, sizeof(uint64_t));
	memcpy(event + offsetof(struct proc_event, event_data), data, n_data * sizeof(*data));
	message.len = sizeof(event);
	header.nlmsg_len = sizeof(header) + sizeof(message) + sizeof(event);
	memcpy(bytes + at, &header, sizeof(header));
	memcpy(bytes + at + sizeof(header), &message, sizeof(message));
	memcpy(bytes + at + sizeof(header) + sizeof(message), event, sizeof(event));
	return at + NLMSG_ALIGN(header.nlmsg_len);
}

static size_t put_all(unsigned char *bytes)
{
	size_t n = 0;
	n = put(bytes, n, PROC_EVENT_NONE, (const uint32_t[]) { 0 }, 1);
	n = put(bytes, n, PROC_EVENT_FORK, (const uint32_t[]) { 1, 1, 100, 100 }, 4);
	n = put(bytes, n, PROC_EVENT_FORK, (const uint32_t[]) { 100, 100, 101, 100 }, 4); /* a thread */
	n = put(bytes, n, PROC_EVENT_EXEC, (const uint32_t[]) { 100, 100 }, 2);
	n = put(bytes, n, PROC_EVENT_UID, (const uint32_t[]) { 100, 100, 5, 5 }, 4);
	n = put(bytes, n, PROC_EVENT_SID, (const uint32_t[]) { 100, 100 }, 2);
	n = put(bytes, n, PROC_EVENT_COMM, (const uint32_t[]) { 100, 100, 0x656d616e, 'd' }, 4); /* "named" */
	n = put(bytes, n, PROC_EVENT_EXIT, (const uint32_t[]) { 101, 100, 0, 0 }, 4);
	n = put(bytes, n, PROC_EVENT_EXIT, (const uint32_t[]) { 100, 100, 0x700, 17 }, 4);
	n = put(bytes, n, PROC_EVENT_FORK, (const uint32_t[]) { 1, 1, 0, 0 }, 4);
	return n;
}

static void leaders_come_out(void **state)
{
	_Alignas(8) unsigned char bytes[2048];
	static const struct connector_event expected[] = {
		{ CONNECTOR_LISTENING, 0, 0 },
		{ CONNECTOR_FORK, 100, 0 },
		{ CONNECTOR_EXEC, 100, 0 },
		{ CONNECTOR_CHANGED, 100, 0 },
		{ CONNECTOR_CHANGED, 100, 0 },
		{ CONNECTOR_EXIT, 100, 0x700 },
	};
	struct seen seen = { 0 };
	connector_parse(bytes, put_all(bytes), see, &seen);
	assert_int_equal(seen.n, 6);
	assert_int_equal(seen.event[1].parent, 1);
	assert_true(seen.event[3].has_uid && !seen.event[3].has_gid);
	assert_int_equal(seen.event[3].uid, 5);
	assert_string_equal(seen.event[3].comm, "");
	assert_false(seen.event[4].has_uid || seen.event[4].has_gid);
	assert_string_equal(seen.event[4].comm, "named");
	for (int i = 0; i < 6; i++) {
		assert_int_equal(seen.event[i].time_ns, TIME_NS);
		assert_int_equal(seen.event[i].kind, expected[i].kind);
		assert_int_equal(seen.event[i].pid, expected[i].pid);
		assert_int_equal(seen.event[i].wait_status, expected[i].wait_status);
	}
	size_t n = put(bytes, 0, PROC_EVENT_NONE, (const uint32_t[]) { EPERM }, 1);
	seen.n = 0;
	connector_parse(bytes, n, see, &seen);
	assert_int_equal(seen.event[0].kind, CONNECTOR_REFUSED);
}

static void torn_datagrams_give_whole_events_only(void **state)
{
	_Alignas(8) unsigned char bytes[2048];
	size_t n = put_all(bytes);
	unsigned last = 0;
	for (size_t len = 0; len <= n; len++) {
		unsigned char *copy = malloc(len ? len : 1);
		memcpy(copy, bytes, len);
		struct seen seen = { 0 };
		connector_parse(copy, len, see, &seen);
		assert_true(seen.n >= last && seen.n <= 6);
		last = seen.n;
		free(copy);
	}
	assert_int_equal(last, 6);
}

static void other_messages_are_passed_over(void **state)
{
	_Alignas(8) unsigned char bytes[2048];
	size_t n = put(bytes, 0, PROC_EVENT_EXEC, (const uint32_t[]) { 7, 7 }, 2);
	struct seen seen = { 0 };
	uint32_t other = CN_IDX_PROC + 1;
	memcpy(bytes + sizeof(struct nlmsghdr), &other, sizeof(other));
	connector_parse(bytes, n, see, &seen);
	uint16_t type = NLMSG_ERROR;
	n = put(bytes, 0, PROC_EVENT_EXEC, (const uint32_t[]) { 7, 7 }, 2);
	memcpy(bytes + offsetof(struct nlmsghdr, nlmsg_type), &type, sizeof(type));
	connector_parse(bytes, n, see, &seen);
	/* A connector message that claims more than its datagram has. */
	n = put(bytes, 0, PROC_EVENT_EXEC, (const uint32_t[]) { 7, 7 }, 2);
	uint16_t len = UINT16_MAX;
	memcpy(bytes + sizeof(struct nlmsghdr) + offsetof(struct cn_msg, len), &len, sizeof(len));
	connector_parse(bytes, n, see, &seen);
	assert_int_equal(seen.n, 0);
}

struct life {
	uint32_t pid;
	bool listening, refused, forked, ended;
	int wait_status;
};

static void follow(void *ctx, const struct connector_event *event)
{
	struct life *life = ctx;
	life->listening |= event->kind == CONNECTOR_LISTENING;
	life->refused |= event->kind == CONNECTOR_REFUSED;
	if (event->pid != life->pid || !life->pid)
		return;
	life->forked |= event->kind == CONNECTOR_FORK;
	if (event->kind == CONNECTOR_EXIT) {
		life->ended = true;
		life->wait_status = event->wait_status;
	}
}

static bool wait_for(int fd, struct life *life, const bool *what, int timeout_ms)
{
	int64_t until_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
	while (!*what && !life->refused && clock_monotonic_ns() < until_ns) {
		struct pollfd poller = { fd, POLLIN, 0 };
		poll(&poller, 1, 50);
		assert_true(connector_read(fd, 8, follow, life) >= 0);
	}
	return *what;
}

static void the_kernel_tells_of_a_life(void **state)
{
	struct life life = { 0 };
	int fd = connector_open();
	if (fd == -EPERM || fd == -EPROTONOSUPPORT || fd == -EACCES) {
		print_message("kernel: no right to the proc connector here\n");
		skip();
	}
	assert_true(fd >= 0);
	if (!wait_for(fd, &life, &life.listening, 2000)) {
		connector_close(fd);
		print_message("kernel: the proc connector does not answer in this namespace\n");
		skip();
	}
	/* The child waits until its number is known here: its events may come before fork returns. */
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(go[1]);
		_exit(read(go[0], &c, 1) == 0 ? 3 : 4);
	}
	life.pid = (uint32_t)pid;
	assert_true(wait_for(fd, &life, &life.forked, 20000));
	close(go[1]);
	close(go[0]);
	assert_true(wait_for(fd, &life, &life.ended, 20000));
	assert_int_equal(WEXITSTATUS(life.wait_status), 3);
	waitpid(pid, NULL, 0);
	connector_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaders_come_out),
		cmocka_unit_test(torn_datagrams_give_whole_events_only),
		cmocka_unit_test(other_messages_are_passed_over),
		cmocka_unit_test(the_kernel_tells_of_a_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
