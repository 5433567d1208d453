/* SPDX-License-Identifier: MIT */
/* The control channel as it should go: sizes, crowds, cancellation, whom the server believes, and nothing
 * that grows. */
#include "tests/unit/control_rig.h"

static void test_sizes(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	static const uint64_t sizes[] = { 0, 1, 100, CONTROL_INLINE - 1, CONTROL_INLINE, CONTROL_INLINE + 1,
		CONTROL_SEGMENT - 1, CONTROL_SEGMENT, CONTROL_SEGMENT + 1, CONTROL_SEGMENTS * CONTROL_SEGMENT,
		CONTROL_SEGMENTS * CONTROL_SEGMENT + 1, 23 << 20 };
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (unsigned manner = AT_ONCE; manner <= LATER; manner++)
			assert_int_equal(
				ask_and_check(client, manner, sizeof(struct script), sizes[i], i), 0);
	static const size_t payloads[] = { sizeof(struct script), CONTROL_INLINE - 1, CONTROL_INLINE,
		CONTROL_INLINE + 1, 3 * CONTROL_INLINE, CONTROL_PAYLOAD_MAX };
	for (unsigned i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
		assert_int_equal(ask_and_check(client, AT_ONCE, payloads[i], 100, i), 0);
	char *long_payload = calloc(1, CONTROL_PAYLOAD_MAX + 1);
	struct control_ask ask = ask_for(long_payload, CONTROL_PAYLOAD_MAX + 1, AT_ONCE, 1, 1);
	struct control_reply reply = CONTROL_REPLY_INIT;
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), -EMSGSIZE);
	free(long_payload);
	control_client_free(client);
	stop_serving(rig);
}

static void test_statuses(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	struct control_reply reply = CONTROL_REPLY_INIT;
	char room[sizeof(struct script)];

	struct control_ask ask = ask_for(room, sizeof(room), FAIL, 0, EDOM);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_ERROR);
	assert_int_equal(reply.error, EDOM);
	assert_int_equal(reply.bytes.len, 7);
	assert_memory_equal(reply.bytes.data, "because", 7);

	ask = ask_for(room, sizeof(room), N_MANNERS, 0, 0);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_GONE);
	assert_int_equal(reply.bytes.len, 0);

	ask.payload.n = 0;
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_NOT_FOUND);

	ask = (struct control_ask) { .op = CONTROL_OP_PING, .payload = { "echo", 4 } };
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_OK);
	assert_memory_equal(reply.bytes.data, "echo", 4);

	ask.op = N_CONTROL_OPS;
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_ERROR);
	assert_int_equal(reply.error, EOPNOTSUPP);

	ask = ask_for(room, sizeof(room), AT_ONCE, CONTROL_ANSWER_MAX + 1, 0);
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	assert_int_equal(reply.status, CONTROL_ERROR);
	assert_int_equal(reply.error, EFBIG);
	control_reply_deinit(&reply);
	control_client_free(client);
	stop_serving(rig);
}

struct seen {
	const struct control_ask *ask;
	struct buf bytes;
	unsigned parts;
	int refuse;
};

static int see(void *ctx, const void *bytes, size_t len, uint64_t offset, uint64_t total)
{
	struct seen *seen = ctx;
	if (offset == 0)
		buf_clear(&seen->bytes);
	if (offset != seen->bytes.len || offset + len > total)
		return -EBADE;
	buf_put(&seen->bytes, bytes, len);
	seen->parts++;
	return seen->refuse;
}

static void test_visit(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	struct control_reply reply = CONTROL_REPLY_INIT;
	char room[sizeof(struct script)];
	static const uint64_t sizes[] = { 10, CONTROL_SEGMENT, 6 * CONTROL_SEGMENT + 5 };
	static const unsigned parts[] = { 1, 1, 7 };
	for (unsigned i = 0; i < 3; i++) {
		struct seen seen = { 0 };
		struct control_ask ask = ask_for(room, sizeof(room), AT_ONCE, sizes[i], i);
		ask.visit = see;
		ask.visit_ctx = &seen;
		assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
		assert_int_equal(reply.bytes.len, 0);
		assert_int_equal(seen.parts, parts[i]);
		assert_true(is_answer_of(&ask, seen.bytes.data, seen.bytes.len));
		buf_deinit(&seen.bytes);
	}
	/* A visitor that wants no more; the segments on their way come back all the same. */
	for (unsigned i = 0; i < 20; i++) {
		struct seen seen = { .refuse = -EDOM };
		struct control_ask ask = ask_for(room, sizeof(room), AT_ONCE, sizes[2], i);
		ask.visit = see;
		ask.visit_ctx = &seen;
		assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), -EDOM);
		assert_int_equal(seen.parts, 1);
		buf_deinit(&seen.bytes);
		assert_int_equal(ask_and_check(client, AT_ONCE, sizeof(room), sizes[2], i), 0);
	}
	control_reply_deinit(&reply);
	control_client_free(client);
	stop_serving(rig);
}

static void test_crowd(void **state)
{
	struct rig *rig = *state;
	struct rlimit old, few = { 64, 64 };
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	serve(rig);
	static const unsigned n_threads[] = { 1, 2, 10, 100 };
	for (unsigned i = 0; i < 4; i++) {
		struct crowd crowd = { .client = client_of(rig), .n_calls = n_threads[i] == 100 ? 20 : 60 };
		run_crowd(&crowd, n_threads[i]);
		assert_int_equal(crowd.wrong, 0);
		assert_int_equal(crowd.cut, 0);
		control_client_free(crowd.client);
	}
	stop_serving(rig);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void *raise_flag(void *ctx)
{
	atomic_bool *flag = ((void **)ctx)[0];
	const struct tally *tally = ((void **)ctx)[1];
	eventually(&tally->held, 1);
	atomic_store(flag, true);
	return NULL;
}

static void test_cancel_and_deadline(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	struct control_reply reply = CONTROL_REPLY_INIT;
	char room[sizeof(struct script)];
	struct control_ask ask = ask_for(room, sizeof(room), NEVER, 10, 1);
	int64_t begin_ns = clock_monotonic_ns();
	assert_int_equal(control_client_call(client, &ask, &reply, 60, NULL), -ETIMEDOUT);
	assert_in_range(clock_monotonic_ns() - begin_ns, 60000000, INT64_C(5000000000));
	eventually(&rig->tally->cancelled, 1);
	assert_int_equal(control_client_call(client, &ask, &reply, 0, NULL), -ETIMEDOUT);

	atomic_store(&rig->tally->held, 0);
	atomic_bool flag = false;
	pthread_t raiser;
	void *args[] = { &flag, rig->tally };
	pthread_create(&raiser, NULL, raise_flag, args);
	begin_ns = clock_monotonic_ns();
	assert_int_equal(control_client_call(client, &ask, &reply, -1, &flag), -ECANCELED);
	pthread_join(raiser, NULL);
	eventually(&rig->tally->cancelled, 2);

	/* More abandoned calls than a connection has slots: each is given back when its answer comes. */
	for (unsigned i = 0; i < 3 * CONTROL_IN_FLIGHT; i++) {
		struct control_ask long_ask = ask_for(room, sizeof(room), i % 2 ? NEVER : LATER, 9 << 20, i);
		int r = control_client_call(client, &long_ask, &reply, 1, NULL);
		assert_true(r == 0 || r == -ETIMEDOUT);
	}
	assert_int_equal(ask_and_check(client, LATER, sizeof(room), 5 << 20, 1), 0);
	control_reply_deinit(&reply);
	control_client_free(client);
	stop_serving(rig);
}

/* In a child, as nobody: asks who it is taken for, and how many connections it may have. */
static int ask_as_nobody(const struct rig *rig)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	struct control_client *client;
	struct control_reply reply = CONTROL_REPLY_INIT;
	struct script script = { .manner = WHO };
	struct control_ask ask = { .op = CONTROL_OP_CONFIG,
		.uid = 0,
		.tgid = 1,
		.payload = { (const char *)&script, sizeof(script) } };
	if (control_client_new(rig->path, &client) < 0 ||
		control_client_call(client, &ask, &reply, SOON_MS, NULL) < 0)
		return 2;
	struct who who;
	if (reply.bytes.len != sizeof(who))
		return 3;
	memcpy(&who, reply.bytes.data, sizeof(who));
	control_reply_deinit(&reply);
	control_client_free(client);
	return who.uid == 65534 && who.tgid == (uint32_t)getpid() && !who.believed ? 0 : 4;
}

static void test_peer_uid(void **state)
{
	struct rig *rig = *state;
	if (getuid() != 0)
		skip();
	serve_forked(rig);
	pid_t child = fork();
	if (child == 0)
		_exit(ask_as_nobody(rig));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* root is believed. */
	struct control_client *client = client_of(rig);
	struct control_reply reply = CONTROL_REPLY_INIT;
	struct script script = { .manner = WHO };
	struct control_ask ask = { .op = CONTROL_OP_CONFIG,
		.uid = 1234,
		.tgid = 4321,
		.payload = { (const char *)&script, sizeof(script) } };
	assert_int_equal(control_client_call(client, &ask, &reply, SOON_MS, NULL), 0);
	struct who who, wanted = { 1234, 4321, true };
	memcpy(&who, reply.bytes.data, sizeof(who));
	assert_memory_equal(&who, &wanted, sizeof(who));
	control_reply_deinit(&reply);
	control_client_free(client);
	reap(rig, SIGKILL);
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident;
	assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident;
}

static void test_no_growth(void **state)
{
	struct rig *rig = *state;
	serve(rig);
	struct control_client *client = client_of(rig);
	unsigned fds = 0;
	long pages = 0;
	for (unsigned i = 0; i < 22000; i++) {
		if (i == 2000) {
			fds = n_fds();
			pages = resident_pages();
		}
		uint64_t size = i % 1000 == 7 ? 2 << 20 : i % 10 == 3 ? 20000 : i % 200;
		assert_int_equal(
			ask_and_check(client, i % 4 ? AT_ONCE : LATER, sizeof(struct script), size, i), 0);
	}
	assert_int_equal(n_fds(), fds);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* Sanitizers keep what is freed; malloc's arenas may round up by a little. */
	assert_in_range(resident_pages(), 0, pages + 512);
#else
	(void)pages;
#endif
	control_client_free(client);
	stop_serving(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_visit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_and_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_uid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_growth, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
