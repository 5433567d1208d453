/* SPDX-License-Identifier: MIT */
/* The control channel when either end breaks the protocol, is greedy, stops or dies. */
#include "tests/unit/control_rig.h"

/* A raw connection, for what no client of ours does. */
static int raw_connect(const struct rig *rig)
{
	struct control_link link;
	assert_int_equal(control_link_open(rig->path, INT64_MAX, &link), 0);
	struct timeval tv = { SOON_MS / 1000, 0 };
	setsockopt(link.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return link.fd;
}

static void raw_send(int fd, struct control_request request, const void *payload)
{
	char bytes[sizeof(request) + CONTROL_INLINE];
	memcpy(bytes, &request, sizeof(request));
	if (request.len > 0)
		memcpy(bytes + sizeof(request), payload, request.len);
	assert_int_equal(
		send(fd, bytes, sizeof(request) + request.len, MSG_NOSIGNAL), sizeof(request) + request.len);
}

static void raw_ask(int fd, uint64_t id, enum manner manner, uint64_t size)
{
	struct script script = { manner, 0, size };
	raw_send(fd,
		(struct control_request) { .version = CONTROL_VERSION,
			.op = CONTROL_OP_CONFIG,
			.id = id,
			.total = sizeof(script),
			.len = sizeof(script) },
		&script);
}

static void expect_refusal(int fd, uint64_t id, int error)
{
	struct control_datagram datagram;
	assert_in_range(recv(fd, &datagram, sizeof(datagram), 0), sizeof(datagram.answer), sizeof(datagram));
	assert_int_equal(datagram.answer.id, id);
	assert_int_equal(datagram.answer.status, CONTROL_ERROR);
	assert_int_equal(datagram.answer.error, error);
	assert_int_equal(datagram.answer.len, datagram.answer.total);
}

static void expect_end(int fd)
{
	char bytes[sizeof(struct control_datagram)];
	ssize_t n;
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		;
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

static void test_malformed(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_request good = { .version = CONTROL_VERSION, .op = CONTROL_OP_PING, .id = 7 }, bad;
	int fd = raw_connect(rig);
	bad = good;
	bad.version = 2;
	raw_send(fd, bad, NULL);
	expect_refusal(fd, 7, EPROTONOSUPPORT);
	bad = good;
	bad.op = 77;
	raw_send(fd, bad, NULL);
	expect_refusal(fd, 7, EOPNOTSUPP);
	bad = good;
	bad.total = 1;
	raw_send(fd, bad, NULL);
	expect_refusal(fd, 7, EBADMSG);
	assert_int_equal(send(fd, &good, 20, MSG_NOSIGNAL), 20);
	expect_refusal(fd, 7, EBADMSG);
	char huge[2 * CONTROL_INLINE] = { 0 };
	bad.total = bad.len = sizeof(huge) - sizeof(bad);
	memcpy(huge, &bad, sizeof(bad));
	assert_int_equal(send(fd, huge, sizeof(huge), MSG_NOSIGNAL), sizeof(huge));
	expect_refusal(fd, 7, EBADMSG);
	/* After all that the connection still serves. */
	raw_send(fd, good, NULL);
	char bytes[sizeof(struct control_datagram)];
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizeof(struct control_answer));
	assert_int_equal(send(fd, &good, 10, MSG_NOSIGNAL), 10);
	expect_end(fd);

	fd = raw_connect(rig); /* a part that does not go on from the last */
	raw_send(fd,
		(struct control_request) {
			.version = 1, .op = CONTROL_OP_PING, .id = 1, .total = 100, .len = 10 },
		huge);
	raw_send(fd,
		(struct control_request) {
			.version = 1, .op = CONTROL_OP_PING, .id = 1, .total = 100, .offset = 20, .len = 10 },
		huge);
	expect_end(fd);
	fd = raw_connect(rig); /* an id in use */
	raw_ask(fd, 5, NEVER, 1);
	raw_ask(fd, 5, NEVER, 1);
	expect_end(fd);
	fd = raw_connect(rig); /* a half-sent request, cancelled, is answered */
	raw_send(fd,
		(struct control_request) {
			.version = 1, .op = CONTROL_OP_PING, .id = 1, .total = 100, .len = 10 },
		huge);
	raw_send(fd, (struct control_request) { .version = 1, .op = CONTROL_OP_CANCEL, .id = 1 }, NULL);
	expect_refusal(fd, 1, ECANCELED);
	close(fd);
	stop_serving(rig);
}

/* One that keeps its segments and reads nothing harms nobody else; its requests beyond the limit are left
 * unread. */
static void test_selfish(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	int fd = raw_connect(rig);
	unsigned before = atomic_load(&rig->tally->handled), sent = 0;
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	while (poll(&room, 1, 300) == 1 && (room.revents & POLLOUT)) {
		struct script script = { AT_ONCE, 0, sent % 2 ? 3000 : 100000 };
		struct {
			struct control_request request;
			struct script script;
		} datagram = { { .version = 1,
				       .op = CONTROL_OP_CONFIG,
				       .id = sent,
				       .total = sizeof(script),
				       .len = sizeof(script) },
			script };
		if (send(fd, &datagram, sizeof(datagram), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		sent++;
	}
	struct control_client *client = client_of(rig);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(
			ask_and_check(client, AT_ONCE, sizeof(struct script), i % 5 ? 1000 : 2 << 20, i), 0);
	unsigned handled = atomic_load(&rig->tally->handled) - before - 50;
	/* Those with room in the socket left; of the rest no more than may be in flight were taken. */
	assert_in_range(handled, CONTROL_IN_FLIGHT, sent - 1);
	control_client_free(client);
	close(fd);
	stop_serving(rig);
}

static void test_connection_limit(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	int fds[CONTROL_CONNECTIONS];
	for (unsigned i = 0; i < CONTROL_CONNECTIONS; i++) {
		fds[i] = raw_connect(rig);
		raw_send(fds[i], (struct control_request) { .version = 1, .op = CONTROL_OP_PING, .id = i },
			NULL);
		char bytes[sizeof(struct control_datagram)];
		assert_int_equal(recv(fds[i], bytes, sizeof(bytes), 0), sizeof(struct control_answer));
	}
	expect_end(raw_connect(rig));
	for (unsigned i = 0; i < CONTROL_CONNECTIONS; i++)
		close(fds[i]);
	struct control_client *client = client_of(rig);
	int r;
	int64_t end_ns = clock_monotonic_ns() + SOON_MS * INT64_C(1000000);
	while ((r = ask_and_check(client, AT_ONCE, sizeof(struct script), 10, 1)) == -ECONNRESET)
		assert_true(clock_monotonic_ns() < end_ns);
	assert_int_equal(r, 0);
	control_client_free(client);
	stop_serving(rig);
}

/* Clients that die at any point of an answer leave nothing behind in the server. */
static void test_client_death(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	assert_int_equal(ask_and_check(client, LATER, sizeof(struct script), 5 << 20, 1), 0);
	unsigned fds = n_fds();
	for (unsigned i = 0; i < 60; i++) {
		int fd = raw_connect(rig);
		for (unsigned id = 0; id < 8; id++)
			raw_ask(fd, id, id % 3 == 0 ? NEVER : id % 3 == 1 ? LATER : AT_ONCE, id * 700000);
		struct control_datagram datagram;
		if (i % 2)
			recv(fd, &datagram, sizeof(datagram), 0);
		close(fd);
		assert_int_equal(ask_and_check(client, LATER, sizeof(struct script), 1000, i), 0);
	}
	eventually(&rig->tally->cancelled, 60);
	assert_int_equal(ask_and_check(client, LATER, sizeof(struct script), 9 << 20, 2), 0);
	int64_t end_ns = clock_monotonic_ns() + SOON_MS * INT64_C(1000000);
	while (n_fds() > fds && clock_monotonic_ns() < end_ns)
		sched_yield();
	assert_int_equal(n_fds(), fds);
	control_client_free(client);
	stop_serving(rig);
}

/* kill -9 in the middle of a call, the listening socket kept: a successor answers what may be asked twice. */
static void test_server_death(void **state)
{
	struct rig *rig = *state;
	for (unsigned round = 0; round < 4; round++) {
		bool idempotent = round % 2;
		atomic_store(&rig->tally->deaths, 0);
		serve_forked(rig);
		struct control_client *client = client_of(rig);
		assert_int_equal(ask_and_check(client, AT_ONCE, sizeof(struct script), 2 << 20, 1), 0);
		/* The heir waits for the death in the socket's backlog, as a supervisor's restart would. */
		pid_t heir = fork();
		if (heir == 0) {
			eventually(&rig->tally->deaths, 1);
			serve(rig);
			pthread_join(rig->loop, NULL);
			_exit(0);
		}
		char room[sizeof(struct script)];
		struct control_reply reply = CONTROL_REPLY_INIT;
		struct control_ask ask = ask_for(room, sizeof(room), DIE, round < 2 ? 100 : 3 << 20, 1);
		ask.idempotent = idempotent;
		int r = control_client_call(client, &ask, &reply, SOON_MS, NULL);
		assert_int_equal(r, idempotent ? 0 : -ECONNRESET);
		if (idempotent)
			assert_true(is_answer_of(&ask, reply.bytes.data, reply.bytes.len));
		reap(rig, 0);
		/* What is asked afterwards finds the heir, idempotent or not. */
		ask = ask_for(room, sizeof(room), AT_ONCE, 5000, 3);
		assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
		assert_true(is_answer_of(&ask, reply.bytes.data, reply.bytes.len));
		/* Killed while idle: the stale connection is no reason to fail. */
		rig->pid = heir;
		reap(rig, SIGKILL);
		serve_forked(rig);
		assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
		control_reply_deinit(&reply);
		control_client_free(client);
		reap(rig, SIGKILL);
	}
}

/* Many threads while servers are killed again and again: an answer is right or the call fails as said. */
static void test_deaths_under_load(void **state)
{
	struct rig *rig = *state;
	/* Forked before there are threads. Each holds the pipes of those forked before it: it must die first.
	 */
	enum { SERVERS = 6 };
	int go[SERVERS];
	pid_t pids[SERVERS];
	for (unsigned i = SERVERS; i-- > 0;)
		pids[i] = fork_heir(rig, &go[i]);
	struct crowd crowd = { .client = client_of(rig), .n_calls = 150 };
	pthread_t threads[10];
	close(go[0]);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &crowd), 0);
	for (unsigned i = 0; i < SERVERS - 1; i++) {
		eventually(&crowd.next_seed, (i + 1) * 200);
		rig->pid = pids[i];
		reap(rig, SIGKILL);
		close(go[i + 1]);
	}
	rig->pid = pids[SERVERS - 1];
	for (unsigned i = 0; i < 10; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.wrong, 0);
	/* Twice lost in a row is possible, but it is not the rule. */
	assert_in_range(crowd.cut, 0, 50);
	control_client_free(crowd.client);
	reap(rig, SIGKILL);
}

static void *stop_when_held(void *ctx)
{
	struct rig *rig = ctx;
	eventually(&rig->tally->held, 1);
	stop_serving(rig);
	return NULL;
}

static void test_graceful_stop(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	struct control_reply reply = CONTROL_REPLY_INIT;
	char room[sizeof(struct script)];
	struct control_ask ask = ask_for(room, sizeof(room), NEVER, 10, 1);
	pthread_t stopper;
	pthread_create(&stopper, NULL, stop_when_held, rig);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), -ECONNRESET);
	pthread_join(stopper, NULL);
	/* Nobody serves, but somebody may come: the call waits, as long as it is let. */
	assert_int_equal(control_client_call(client, &ask, &reply, 50, NULL), -ETIMEDOUT);
	serve(rig);
	assert_int_equal(ask_and_check(client, LATER, sizeof(room), 10, 1), 0);
	stop_serving(rig);
	close(rig->listen_fd);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), -ECONNREFUSED);
	unlink(rig->path);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), -ECONNREFUSED);
	rig->listen_fd = -1;
	control_reply_deinit(&reply);
	control_client_free(client);
	char long_path[200];
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(control_client_new(long_path, &client), -ENAMETOOLONG);
}

/* A server that passes what is no good as a segment. */
static int call_with_segment(struct rig *rig, int seals, off_t size, uint64_t total)
{
	struct control_client *client = client_of(rig);
	pid_t child = fork();
	if (child == 0) {
		int fd = accept(rig->listen_fd, NULL, NULL);
		struct control_request request;
		if (recv(fd, &request, sizeof(request), 0) != sizeof(request))
			_exit(1);
		int memfd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (ftruncate(memfd, size) < 0 || fcntl(memfd, F_ADD_SEALS, seals) < 0)
			_exit(1);
		struct control_answer head = { .id = request.id, .total = total, .len = (uint32_t)total };
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
		memcpy(CMSG_DATA(&control.header), &memfd, sizeof(int));
		struct iovec part = { &head, sizeof(head) };
		struct msghdr message = { .msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		_exit(sendmsg(fd, &message, 0) == sizeof(head) ? 0 : 1);
	}
	struct control_ask ask = { .op = CONTROL_OP_MEASURE };
	struct control_reply reply = CONTROL_REPLY_INIT;
	int r = control_client_call(client, &ask, &reply, SOON_MS, NULL);
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	control_reply_deinit(&reply);
	control_client_free(client);
	return r;
}

static void test_bad_segments(void **state)
{
	struct rig *rig = *state;
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	assert_int_equal(call_with_segment(rig, all, CONTROL_SEGMENT, 8000), 0);
	assert_int_equal(call_with_segment(rig, F_SEAL_GROW | F_SEAL_SEAL, CONTROL_SEGMENT, 8000), -EPERM);
	assert_int_equal(call_with_segment(rig, F_SEAL_SHRINK | F_SEAL_SEAL, CONTROL_SEGMENT, 8000), -EPERM);
	assert_int_equal(call_with_segment(rig, F_SEAL_SHRINK | F_SEAL_GROW, CONTROL_SEGMENT, 8000), -EPERM);
	assert_int_equal(call_with_segment(rig, all, CONTROL_SEGMENT - 4096, 8000), -EINVAL);
	assert_int_equal(call_with_segment(rig, all, CONTROL_SEGMENT, CONTROL_SEGMENT + 1), -EPROTO);
	const void *bytes;
	assert_int_equal(control_segment_map(STDIN_FILENO, &bytes), -EINVAL);

	struct control_segment segment;
	assert_int_equal(control_segment_make(&segment), 0);
	assert_int_equal(control_segment_map(segment.fd, &bytes), 0);
	memcpy(segment.bytes, "seen", 4);
	assert_memory_equal(bytes, "seen", 4);
	assert_int_equal(ftruncate(segment.fd, 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE | PROT_READ, MAP_SHARED, segment.fd, 0), MAP_FAILED);
	control_segment_unmap(bytes);
	control_segment_deinit(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_selfish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connection_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deaths_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_graceful_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_segments, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
