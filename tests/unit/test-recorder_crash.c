/* SPDX-License-Identifier: MIT */
/* kill -9 at any moment loses nothing acknowledged, and a reader beside the recorder sees no seam. */
#include <signal.h>
#include <sys/wait.h>

#include "collector/history/history.h"
#include "tests/unit/recorder_world.h"

static void child_records(const struct scratch *scratch, int64_t t, int fd)
{
	static struct told told = { .mutex = PTHREAD_MUTEX_INITIALIZER };
	struct recorder *recorder;
	int64_t before = 0;

	if (recorder_start(scratch->path, BOOT, BASE - 1000, on_tell, &told, &recorder))
		_exit(1);
	for (;; before = t, t += 1 + (int64_t)(mix(9, (uint64_t)t) % 9)) {
		int64_t message = -t;

		/* Said before: it may be there. Said after: it must be. */
		if (write(fd, &message, sizeof(message)) != sizeof(message))
			_exit(1);
		recorder_put(recorder, tick_at(PROCESSES, before, t));
		if (!until(is_recorded, recorder, t * NS + 5000))
			_exit(1);
		if (write(fd, &t, sizeof(t)) != sizeof(t))
			_exit(1);
	}
}

/* A second that is told of, or that is acknowledged: 1. */
static unsigned hear(struct times *times, int64_t message)
{
	if (message < 0) {
		times_add(times, -message, true);
		return 0;
	}
	assert_int_equal(times->t[times->n - 1], message);
	times->perhaps[times->n - 1] = false;
	return 1;
}

static void nothing_acknowledged_is_lost_by_a_kill(void **state)
{
	struct fixture *fixture = *state;
	int64_t t = BASE;
	unsigned seconds = 0;

	for (unsigned round = 0; round < 60; round++) {
		int fds[2], status;
		int64_t message;
		size_t first = fixture->times.n;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			child_records(&fixture->scratch, t, fds[1]);
		}
		close(fds[1]);
		/* Some words, and then any moment within what comes after. */
		for (unsigned words = 0; words < 1 + mix(round, 4) % 40; words++) {
			assert_int_equal(read(fds[0], &message, sizeof(message)), sizeof(message));
			seconds += hear(&fixture->times, message);
		}
		struct timespec moment = { 0, (long)(mix(round, 5) % 3000000) };
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		while (read(fds[0], &message, sizeof(message)) == sizeof(message))
			seconds += hear(&fixture->times, message);
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_true(fixture->times.n > first);
		t = fixture->times.t[fixture->times.n - 1] + 1;
		bool any = false;
		for (size_t i = 0; i < fixture->times.n; i++)
			any |= !fixture->times.perhaps[i];
		if (any)
			ask_some(&fixture->scratch, &fixture->times, PROCESSES, 61);
	}
	assert_true(seconds > 300); /* else little was tried */
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	recorder_stop(recorder);
	ask_some(&fixture->scratch, &fixture->times, PROCESSES, 1);
	ask_levels(&fixture->scratch, LEVEL_SECONDS, 61);
	check(&fixture->scratch);
	assert_int_equal(fixture->told.count, 0);
}

/* --- a reader beside the recorder --- */

struct beside {
	const struct scratch *scratch;
	struct times *times;
	pthread_mutex_t mutex;
	bool stop;
	unsigned rounds;
	const char *wrong;
};

static void *read_beside(void *arg)
{
	struct beside *beside = arg;
	struct times *known = calloc(1, sizeof(*known));
	struct store *store = NULL;

	for (unsigned round = 0;; round++) {
		pthread_mutex_lock(&beside->mutex);
		bool stop = beside->stop;
		memcpy(known, beside->times, sizeof(*known));
		pthread_mutex_unlock(&beside->mutex);
		if (!store && store_open_reader(beside->scratch->path, &store, NULL))
			store = NULL;
		if (store && known->n > 1) {
			unsigned p = round % 100;
			int64_t subject;
			struct asking asking = { .times = known, .p = p, .start_ticks = 1 };
			int r = store_find_subject(store, 1000 + p, 1, &subject);

			if (!r)
				r = history_each(store, subject, LEVEL_SECONDS, known->t[0],
					known->t[known->n - 1], on_sample, &asking);
			if (!r && asking.at != known->n)
				r = wrong(&asking, "lost", known->t[asking.at]);
			pthread_mutex_lock(&beside->mutex);
			beside->rounds++;
			if (r && !beside->wrong)
				beside->wrong = asking.wrong ? asking.wrong : "failed";
			pthread_mutex_unlock(&beside->mutex);
		}
		if (stop)
			break;
	}
	store_close(store);
	free(known);
	return NULL;
}

static void a_reader_sees_no_seam(void **state)
{
	struct fixture *fixture = *state;
	struct beside beside = {
		.scratch = &fixture->scratch, .times = &fixture->times, .mutex = PTHREAD_MUTEX_INITIALIZER
	};
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_beside, &beside), 0);
	for (int64_t t = BASE, before = 0; t < BASE + 900; before = t, t += 3) {
		feed(recorder, PROCESSES, before, t);
		pthread_mutex_lock(&beside.mutex);
		times_add(&fixture->times, t, false);
		pthread_mutex_unlock(&beside.mutex);
	}
	recorder_stop(recorder);
	pthread_mutex_lock(&beside.mutex);
	beside.stop = true;
	pthread_mutex_unlock(&beside.mutex);
	pthread_join(thread, NULL);
	if (beside.wrong)
		fail_msg("%s", beside.wrong);
	assert_true(beside.rounds > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_acknowledged_is_lost_by_a_kill),
		TEST(a_reader_sees_no_seam),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
