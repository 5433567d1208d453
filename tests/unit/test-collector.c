/* SPDX-License-Identifier: MIT */
/* The collector's program as the supervisor starts it: board and socket inherited, watched from outside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/sample/sampler.h"
#include "fs/control_client.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/board.h"
#include "schema/proc/pid_stat.h"

enum { SOON_MS = 20000, STRANGER = 12345 };

struct rig {
	char program[PATH_MAX];
	char dir[64], state[80], socket[96];
	int board_fd, control_fd;
	struct board *board; /* as a reader */
	pid_t collector;     /* 0: none */
	pid_t orphan;        /* one that is nobody's child, to be ended whatever happens */
	struct control_client *client;
};

struct start {
	int interval_ms; /* 0: not said */
	rlim_t descriptors;
	bool orphan; /* its parent ends at once */
};

static void number(char text[16], int value)
{
	snprintf(text, 16, "%d", value);
}

static pid_t launch(const struct rig *rig, const struct start *how, int ready_fd)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	char board[16], control[16], ready[16], interval[16], uid[16];
	if (how->orphan && fork() != 0)
		_exit(0);
	if (!how->orphan)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (how->descriptors) {
		const struct rlimit limit = { how->descriptors, how->descriptors };
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Copies without close-on-exec. */
	number(board, dup(rig->board_fd));
	number(control, dup(rig->control_fd));
	number(ready, dup(ready_fd));
	close(ready_fd);
	number(interval, how->interval_ms);
	number(uid, (int)getuid());
	execl(rig->program, rig->program, "--board-fd", board, "--control-fd", control, "--state", rig->state,
		"--run", rig->dir, "--proc", "/", "--log-level", "0", "--server-uid", uid, "--ready-fd",
		ready, how->interval_ms ? "--interval-ms" : NULL, interval, NULL);
	_exit(127);
}

/* True once the first tick is published; false where the program ended instead. */
static bool start(struct rig *rig, struct start how)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	rig->collector = launch(rig, &how, ready[1]);
	assert_true(rig->collector > 0);
	close(ready[1]);
	struct pollfd poller = { ready[0], POLLIN, 0 };
	assert_int_equal(poll(&poller, 1, SOON_MS), 1);
	bool fine = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	return fine;
}

static int stop(struct rig *rig, int signal)
{
	int status = -1;
	if (rig->collector <= 0)
		return 0;
	kill(rig->collector, signal);
	waitpid(rig->collector, &status, 0);
	rig->collector = 0;
	return status;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	/* Beside the folder of the tests in the folder of the build, unless said otherwise. */
	char self[PATH_MAX] = "";
	const char *said = getenv("MEMFS_COLLECTOR");
	if (said)
		snprintf(rig->program, sizeof(rig->program), "%s", said);
	else if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
		snprintf(rig->program, sizeof(rig->program), "%.4000s/../memfs-collector", dirname(self));
	if (access(rig->program, X_OK) != 0)
		fail_msg("no collector at %s", rig->program);

	strcpy(rig->dir, "/tmp/test-collector-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->dir);
	assert_int_equal(mkdir(rig->state, 0755), 0);
	snprintf(rig->socket, sizeof(rig->socket), "%s/control", rig->dir);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, rig->socket);
	rig->control_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->control_fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(rig->control_fd, 64), 0);
	rig->board_fd = board_create();
	assert_true(rig->board_fd >= 0);
	assert_int_equal(board_map(rig->board_fd, false, &rig->board), 0);
	assert_int_equal(control_client_new(rig->socket, &rig->client), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[128];
	stop(rig, SIGKILL);
	if (rig->orphan)
		kill(rig->orphan, SIGKILL);
	control_client_free(rig->client);
	board_unmap(rig->board);
	close(rig->board_fd);
	close(rig->control_fd);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig->dir);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

static bool on_board(const struct rig *rig, pid_t pid)
{
	struct board_process process;
	return board_read_process(rig->board, (uint32_t)pid, &process) == BOARD_FOUND;
}

static struct board_health health(const struct rig *rig)
{
	struct board_health got = { 0 };
	int tries = 0;
	while (board_read_health(rig->board, &got) != BOARD_FOUND && ++tries < 1000)
		poll(NULL, 0, 1);
	assert_true(tries < 1000);
	return got;
}

/* Milliseconds until the condition holds; fails after SOON_MS. */
#define WAIT_FOR(condition)                                                                                  \
	__extension__({                                                                                      \
		int64_t begin_ns_ = clock_monotonic_ns();                                                    \
		while (!(condition)) {                                                                       \
			if (clock_monotonic_ns() - begin_ns_ > SOON_MS * INT64_C(1000000))                   \
				fail_msg("%s:%d: %s did not come true", __FILE__, __LINE__, #condition);     \
			poll(NULL, 0, 2);                                                                    \
		}                                                                                            \
		(clock_monotonic_ns() - begin_ns_) / 1000000;                                                \
	})

/* A child that has touched 4 MiB of its own when this returns, and does nothing from then on. */
static pid_t sleeper(void)
{
	int ready[2];
	char byte = 0;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		char *block = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(block, 1, 4 << 20);
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static uint64_t start_of(const struct rig *rig, pid_t pid)
{
	struct board_process process;
	WAIT_FOR(board_read_process(rig->board, (uint32_t)pid, &process) == BOARD_FOUND);
	return process.start_ticks;
}

static unsigned count_events(const struct rig *rig, enum board_event_kind kind, pid_t pid, uint64_t from)
{
	unsigned n = 0;
	struct board_event event;
	for (uint64_t seq = from; seq < board_event_head(rig->board); seq++)
		n += board_read_event(rig->board, seq, &event) == BOARD_FOUND && event.kind == kind &&
		     event.pid == (uint32_t)pid;
	return n;
}

static void births_and_ends_are_seen_in_time(void **state)
{
	struct rig *rig = *state;
	assert_true(start(rig, (struct start) { .interval_ms = 1000 }));
	assert_int_equal(health(rig).collector_pid, rig->collector);
	assert_int_equal(health(rig).interval_ms, 1000);
	assert_true(on_board(rig, getpid()));
	WAIT_FOR(health(rig).births_from == BOARD_BIRTHS_CONNECTOR || health(rig).generation > 3);
	bool told = health(rig).births_from == BOARD_BIRTHS_CONNECTOR;
	uint64_t from = board_event_head(rig->board);

	pid_t child = sleeper();
	int64_t ms = WAIT_FOR(on_board(rig, child));
	assert_true(ms < (told ? 1000 : 3000));
	assert_int_equal(count_events(rig, BOARD_BIRTH, child, from), 1);
	end_child(child);
	ms = WAIT_FOR(!on_board(rig, child));
	assert_true(ms < (told ? 1000 : 3000));
	assert_int_equal(count_events(rig, BOARD_DEATH, child, from), 1);
	if (!told)
		print_message("no proc connector here: births come from listings\n");
	assert_int_equal(stop(rig, SIGTERM), 0);
	assert_true(on_board(rig, getpid())); /* the board outlives its writer */
}

static void a_storm_of_births_starves_nobody(void **state)
{
	struct rig *rig = *state;
	assert_true(start(rig, (struct start) { .interval_ms = 100 }));
	struct control_reply reply = CONTROL_REPLY_INIT;
	int64_t worst_ns = 0;
	for (int i = 0; i < 5000; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		assert_true(pid > 0);
		waitpid(pid, NULL, 0);
		if (i % 500 == 0) {
			const struct control_ask ask = { .op = CONTROL_OP_PING, .payload = { "hello", 5 } };
			assert_int_equal(control_client_call(rig->client, &ask, &reply, SOON_MS, NULL), 0);
			assert_int_equal(reply.status, CONTROL_OK);
		}
		int64_t age_ns = clock_monotonic_ns() - health(rig).tick_ns;
		if (age_ns > worst_ns)
			worst_ns = age_ns;
	}
	assert_true(worst_ns < INT64_C(3000000000));
	uint64_t generation = health(rig).generation;
	WAIT_FOR(health(rig).generation > generation + 2);
	/* Nothing of them is left. */
	struct board_process process;
	unsigned left = 0;
	for (uint32_t pid = board_next_pid(rig->board, 0); pid; pid = board_next_pid(rig->board, pid + 1))
		left += board_read_process(rig->board, pid, &process) == BOARD_FOUND &&
			process.ppid == (uint32_t)getpid() && pid != (uint32_t)rig->collector;
	assert_int_equal(left, 0);
	control_reply_deinit(&reply);
	assert_int_equal(stop(rig, SIGINT), 0);
}

/* Every event that was ever written up to now can be read, in order, and tells a story that holds together.
 */
static void check_ring(const struct rig *rig, pid_t pid)
{
	struct board_event event;
	bool alive = false;
	for (uint64_t seq = 1; seq < board_event_head(rig->board); seq++) {
		assert_int_equal(board_read_event(rig->board, seq, &event), BOARD_FOUND);
		if (event.pid != (uint32_t)pid)
			continue;
		assert_int_equal(event.kind == BOARD_BIRTH, !alive);
		alive = event.kind != BOARD_DEATH;
	}
	assert_int_equal(alive, on_board(rig, pid));
}

static void a_killed_collector_is_succeeded(void **state)
{
	struct rig *rig = *state;
	pid_t stays = sleeper(), goes = sleeper();
	assert_true(start(rig, (struct start) { .interval_ms = 20 }));
	uint64_t stays_start = start_of(rig, stays);
	start_of(rig, goes);
	for (int i = 0; i < 3; i++) {
		uint64_t generation = health(rig).generation, head = board_event_head(rig->board),
			 news = board_news_head(rig->board);
		assert_true(WIFSIGNALED(stop(rig, SIGKILL)));
		if (i == 0)
			end_child(goes);
		assert_true(start(rig, (struct start) { .interval_ms = 20 }));
		assert_true(health(rig).generation > generation);
		assert_true(board_event_head(rig->board) >= head);
		assert_true(board_news_head(rig->board) >= news);
		assert_false(on_board(rig, goes));
		assert_int_equal(start_of(rig, stays), stays_start);
		assert_int_equal(count_events(rig, BOARD_BIRTH, stays, 1), 1); /* known, not born again */
		assert_int_equal(count_events(rig, BOARD_DEATH, goes, 1), 1);
		check_ring(rig, stays);
		check_ring(rig, goes);
	}
	end_child(stays);
	WAIT_FOR(!on_board(rig, stays));
	check_ring(rig, stays);
	assert_int_equal(stop(rig, SIGTERM), 0);
}

static void one_collector_has_a_state_directory(void **state)
{
	struct rig *rig = *state;
	assert_true(start(rig, (struct start) { .interval_ms = 50 }));
	pid_t first = rig->collector;
	assert_false(start(rig, (struct start) { .interval_ms = 50 }));
	int status;
	assert_int_equal(waitpid(rig->collector, &status, 0), rig->collector);
	rig->collector = first;
	assert_int_equal(WEXITSTATUS(status), 3);
	uint64_t generation = health(rig).generation;
	WAIT_FOR(health(rig).generation > generation);
	assert_int_equal(health(rig).collector_pid, first);
}

static enum control_status measure(
	const struct rig *rig, pid_t pid, uint64_t start_ticks, struct control_measured *ret, int *ret_error)
{
	struct control_reply reply = CONTROL_REPLY_INIT;
	const struct control_ask ask = {
		.op = CONTROL_OP_MEASURE, .pid = (uint64_t)pid, .start_ticks = start_ticks
	};
	assert_int_equal(control_client_call(rig->client, &ask, &reply, SOON_MS, NULL), 0);
	enum control_status status = reply.status;
	*ret_error = reply.error;
	if (status == CONTROL_OK) {
		assert_int_equal(reply.bytes.len, sizeof(*ret));
		memcpy(ret, reply.bytes.data, sizeof(*ret));
	}
	control_reply_deinit(&reply);
	return status;
}

static void pss_is_measured_on_request(void **state)
{
	struct rig *rig = *state;
	struct control_measured measured, again;
	struct board_process process;
	int error;

	assert_true(start(rig, (struct start) { .interval_ms = 50 }));
	pid_t child = sleeper();
	uint64_t start_ticks = start_of(rig, child);
	assert_int_equal(board_read_process(rig->board, (uint32_t)child, &process), BOARD_FOUND);
	assert_false(metric_has(process.values.present, PROCESS_PSS));
	assert_int_equal(measure(rig, child, start_ticks, &measured, &error), CONTROL_OK);
	assert_true(measured.uss >= 4 << 20);
	assert_true(measured.pss >= measured.uss);
	assert_true(measured.dirty >= 4 << 20);
	assert_int_equal(board_read_process(rig->board, (uint32_t)child, &process), BOARD_FOUND);
	assert_int_equal(process.values.value[PROCESS_PSS], measured.pss);
	assert_int_equal(process.values.value[PROCESS_USS], measured.uss);
	assert_int_equal(process.measured_ns, measured.measured_ns);

	/* Not measured twice within a second. */
	int64_t begin_ns = clock_realtime_ns();
	assert_int_equal(measure(rig, child, start_ticks, &again, &error), CONTROL_OK);
	if (begin_ns - measured.measured_ns < 500000000 && clock_realtime_ns() - begin_ns < 400000000)
		assert_int_equal(again.measured_ns, measured.measured_ns);
	WAIT_FOR(clock_realtime_ns() - measured.measured_ns > 1000000000);
	assert_int_equal(measure(rig, child, start_ticks, &again, &error), CONTROL_OK);
	assert_true(again.measured_ns > measured.measured_ns);

	assert_int_equal(measure(rig, child, start_ticks + 1, &again, &error), CONTROL_GONE);
	assert_int_equal(measure(rig, 0, 0, &again, &error), CONTROL_GONE);
	if (board_read_process(rig->board, 2, &process) == BOARD_FOUND && process.kernel_thread) {
		assert_int_equal(measure(rig, 2, process.start_ticks, &again, &error), CONTROL_ERROR);
		assert_int_equal(error, ENODATA);
	}
	kill(child, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	WAIT_FOR(board_read_process(rig->board, (uint32_t)child, &process) == BOARD_FOUND &&
		 process.state == 'Z');
	assert_int_equal(measure(rig, child, start_ticks, &again, &error), CONTROL_ERROR);
	assert_int_equal(error, ENODATA);
	waitpid(child, NULL, 0);
	assert_int_equal(measure(rig, child, start_ticks, &again, &error), CONTROL_GONE);
}

static int configure(const struct rig *rig, uint32_t uid, const char *text, char *ret_reason, size_t cap)
{
	struct control_reply reply = CONTROL_REPLY_INIT;
	const struct control_ask ask = {
		.op = CONTROL_OP_CONFIG, .uid = uid, .payload = { text, strlen(text) }
	};
	assert_int_equal(control_client_call(rig->client, &ask, &reply, SOON_MS, NULL), 0);
	int error = reply.status == CONTROL_OK ? 0 : reply.error;
	snprintf(ret_reason, cap, "%.*s", (int)reply.bytes.len, reply.bytes.data ? reply.bytes.data : "");
	control_reply_deinit(&reply);
	return error;
}

static uint64_t setting(const struct rig *rig, enum setting id)
{
	struct settings settings;
	WAIT_FOR(board_read_settings(rig->board, &settings) == BOARD_FOUND);
	return settings.value[id];
}

static void settings_are_checked_kept_and_applied(void **state)
{
	struct rig *rig = *state;
	char reason[256];
	struct board_news news = { 0 };
	assert_true(start(rig, (struct start) { 0 }));
	assert_int_equal(health(rig).interval_ms, 1000);

	assert_int_equal(configure(rig, STRANGER, "sample_interval_ms 30\n", reason, sizeof(reason)), EPERM);
	assert_true(strlen(reason) > 0);
	assert_int_equal(configure(rig, 0, "no_such_thing 30\n", reason, sizeof(reason)), EINVAL);
	assert_true(strlen(reason) > 0);
	assert_int_equal(
		configure(rig, 0, "history_days 3\nsample_interval_ms 1\n", reason, sizeof(reason)), ERANGE);
	assert_int_equal(setting(rig, SETTING_HISTORY_DAYS), setting_rows[SETTING_HISTORY_DAYS].initial);

	assert_int_equal(
		configure(rig, 0, "sample_interval_ms 30\nhistory_days 3\n", reason, sizeof(reason)), 0);
	assert_int_equal(setting(rig, SETTING_SAMPLE_INTERVAL_MS), 30);
	assert_int_equal(setting(rig, SETTING_HISTORY_DAYS), 3);
	bool told = false;
	for (uint64_t seq = board_news_head(rig->board); seq && !told; seq--)
		told = board_read_news(rig->board, seq, &news) == BOARD_FOUND && news.kind == NEWS_CONFIG;
	assert_true(told);
	assert_string_equal(news.text, "sample_interval_ms 30, history_days 3");
	uint64_t generation = health(rig).generation;
	WAIT_FOR(health(rig).generation > generation + 5);
	assert_int_equal(health(rig).interval_ms, 30);

	/* Kept; but what the command line says holds for that run, and is not kept. */
	assert_int_equal(stop(rig, SIGTERM), 0);
	assert_true(start(rig, (struct start) { .interval_ms = 40 }));
	assert_int_equal(health(rig).interval_ms, 40);
	assert_int_equal(setting(rig, SETTING_HISTORY_DAYS), 3);
	assert_int_equal(configure(rig, 0, "history_days 4\n", reason, sizeof(reason)), 0);
	assert_int_equal(stop(rig, SIGTERM), 0);
	assert_true(start(rig, (struct start) { 0 }));
	assert_int_equal(health(rig).interval_ms, 30);
	assert_int_equal(setting(rig, SETTING_HISTORY_DAYS), 4);
	assert_int_equal(health(rig).history_state, BOARD_HISTORY_OK);
	WAIT_FOR(health(rig).history_bytes > 0);
}

static void sixty_four_descriptors_are_enough(void **state)
{
	struct rig *rig = *state;
	/* The default, for a tick that begins late counts as dropped too. */
	assert_true(start(rig, (struct start) { .interval_ms = 1000, .descriptors = 64 }));
	pid_t child = sleeper();
	start_of(rig, child);
	struct control_measured measured;
	int error;
	assert_int_equal(measure(rig, child, start_of(rig, child), &measured, &error), CONTROL_OK);
	end_child(child);
	WAIT_FOR(!on_board(rig, child));
	assert_int_equal(health(rig).dropped, 0);
}

static void it_outlives_its_parent(void **state)
{
	struct rig *rig = *state;
	assert_true(start(rig, (struct start) { .interval_ms = 50, .orphan = true }));
	int status;
	assert_int_equal(waitpid(rig->collector, &status, 0), rig->collector);
	rig->collector = 0;
	pid_t orphan = rig->orphan = (pid_t)health(rig).collector_pid;
	assert_true(orphan > 1);
	uint64_t generation = health(rig).generation;
	WAIT_FOR(health(rig).generation > generation + 3);
	assert_int_equal(kill(orphan, SIGTERM), 0);
	/* Its lock is free again once it is gone; its number may be another's from then on. */
	assert_true(start(rig, (struct start) { .interval_ms = 50 }));
	rig->orphan = 0;
	assert_true((pid_t)health(rig).collector_pid != orphan);
}

static int run(const struct rig *rig, const char *option, const char *value)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 1);
		dup2(null, 2);
		execl(rig->program, rig->program, option, value, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void usage_is_told_from_failure(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(run(rig, "--version", NULL), 0);
	assert_int_equal(run(rig, "--help", NULL), 0);
	assert_int_equal(run(rig, NULL, NULL), 2);
	assert_int_equal(run(rig, "--no-such", NULL), 2);
	assert_int_equal(run(rig, "--state", rig->state), 2);
	/* A descriptor that is no board. */
	int fd = rig->board_fd;
	rig->board_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_false(start(rig, (struct start) { 0 }));
	int status;
	waitpid(rig->collector, &status, 0);
	rig->collector = 0;
	close(rig->board_fd);
	rig->board_fd = fd;
	assert_int_equal(WEXITSTATUS(status), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(births_and_ends_are_seen_in_time),
		TEST(a_storm_of_births_starves_nobody),
		TEST(a_killed_collector_is_succeeded),
		TEST(one_collector_has_a_state_directory),
		TEST(pss_is_measured_on_request),
		TEST(settings_are_checked_kept_and_applied),
		TEST(sixty_four_descriptors_are_enough),
		TEST(it_outlives_its_parent),
		TEST(usage_is_told_from_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
