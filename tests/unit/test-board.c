/* SPDX-License-Identifier: MIT */
/* The board: what is written is read, whole or not at all, whoever dies or lies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/board.h"
#include "schema/board_layout.h"

struct rig {
	int fd, read_fd;
	struct board *writer, *reader;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rig->fd = board_create();
	assert_true(rig->fd >= 0);
	rig->read_fd = board_reopen_read_only(rig->fd);
	assert_true(rig->read_fd >= 0);
	assert_int_equal(board_map(rig->fd, true, &rig->writer), 0);
	assert_int_equal(board_map(rig->read_fd, false, &rig->reader), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	board_unmap(rig->writer);
	board_unmap(rig->reader);
	close(rig->fd);
	close(rig->read_fd);
	free(rig);
	return 0;
}

/* Every number of it follows from pid and seed, so that a mixture of two shows. */
static struct board_process process_of(uint32_t pid, uint64_t seed)
{
	struct board_process process = { .pid = pid,
		.ppid = (uint32_t)seed,
		.uid = (uint32_t)seed,
		.state = 'S',
		.comm = "process",
		.start_ticks = seed,
		.start_ns = (int64_t)seed,
		.sampled_ns = (int64_t)seed };
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++)
		process_values_set(&process.values, i, seed + i);
	for (unsigned i = 0; i < N_PROCESS_RATES; i++)
		for (unsigned w = 0; w < N_WINDOWS; w++)
			process.rate[i][w] = (int64_t)(seed + i * N_WINDOWS + w);
	return process;
}

static bool is_whole(const struct board_process *process)
{
	uint64_t seed = process->start_ticks;
	bool whole = process->ppid == (uint32_t)seed && process->uid == (uint32_t)seed &&
		     process->start_ns == (int64_t)seed && process->sampled_ns == (int64_t)seed;
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++)
		whole = whole && process->values.value[i] == seed + i;
	for (unsigned i = 0; i < N_PROCESS_RATES; i++)
		for (unsigned w = 0; w < N_WINDOWS; w++)
			whole = whole && process->rate[i][w] == (int64_t)(seed + i * N_WINDOWS + w);
	return whole;
}

static void a_new_board_has_nothing(void **state)
{
	const struct rig *rig = *state;
	struct board_process process;
	struct board_system node;
	struct board_health health;
	struct settings settings;
	struct board_event event;
	struct board_news news;

	assert_int_equal(board_read_process(rig->reader, 1, &process), BOARD_ABSENT);
	assert_int_equal(board_read_process(rig->reader, 0, &process), BOARD_ABSENT);
	assert_int_equal(board_read_process(rig->reader, UINT32_MAX, &process), BOARD_ABSENT);
	assert_int_equal(board_read_system(rig->reader, &node), BOARD_ABSENT);
	assert_int_equal(board_read_health(rig->reader, &health), BOARD_ABSENT);
	assert_int_equal(board_read_settings(rig->reader, &settings), BOARD_ABSENT);
	assert_int_equal(board_next_pid(rig->reader, 0), 0);
	assert_int_equal(board_event_head(rig->reader), 1);
	assert_int_equal(board_read_event(rig->reader, 1, &event), BOARD_ABSENT);
	assert_int_equal(board_news_head(rig->reader), 0);
	assert_int_equal(board_read_news(rig->reader, 1, &news), BOARD_ABSENT);
}

static void processes_come_and_go(void **state)
{
	const struct rig *rig = *state;
	const uint32_t pids[] = { 1, 63, 64, 65, 4096, BOARD_PIDS - 1 };
	struct board_process process;

	for (size_t i = 0; i < 6; i++) {
		struct board_process written = process_of(pids[i], 1000 + i);
		board_write_process(rig->writer, &written);
		assert_int_equal(board_read_process(rig->reader, pids[i], &process), BOARD_FOUND);
		assert_int_equal(process.pid, pids[i]);
		assert_int_equal(process.start_ticks, 1000 + i);
		assert_true(is_whole(&process));
	}
	uint32_t pid = 0;
	for (size_t i = 0; i < 6; i++) {
		pid = board_next_pid(rig->reader, pid + 1);
		assert_int_equal(pid, pids[i]);
	}
	assert_int_equal(board_next_pid(rig->reader, pid + 1), 0);
	assert_int_equal(board_next_pid(rig->reader, UINT32_MAX), 0);

	board_clear_process(rig->writer, 64);
	assert_int_equal(board_read_process(rig->reader, 64, &process), BOARD_ABSENT);
	assert_int_equal(board_next_pid(rig->reader, 64), 65);
}

static int64_t blocks_of(const struct rig *rig)
{
	struct stat st;
	assert_int_equal(fstat(rig->fd, &st), 0);
	return st.st_blocks;
}

static void memory_of_the_ended_goes_back(void **state)
{
	const struct rig *rig = *state;
	enum { FIRST = 100000, PIDS = 10000, EACH = 1000, BLOCKS_A_PAGE = 4096 / 512 };
	struct board_process process;

	int64_t empty = blocks_of(rig);
	for (uint32_t pid = FIRST; pid < FIRST + PIDS; pid++) {
		process = process_of(pid, pid);
		board_write_process(rig->writer, &process);
	}
	assert_true(blocks_of(rig) - empty >= PIDS * (int64_t)sizeof(process) / 512);
	for (uint32_t pid = FIRST; pid < FIRST + PIDS; pid++)
		if (pid % EACH)
			board_clear_process(rig->writer, pid);
	board_trim(rig->writer);
	if (sysconf(_SC_PAGESIZE) == 4096)
		assert_true(blocks_of(rig) - empty <= (2 * PIDS / EACH + 8) * BLOCKS_A_PAGE);
	for (uint32_t pid = FIRST; pid < FIRST + PIDS; pid++) {
		enum board_outcome found = board_read_process(rig->reader, pid, &process);
		assert_int_equal(found, pid % EACH ? BOARD_ABSENT : BOARD_FOUND);
		if (found == BOARD_FOUND)
			assert_true(process.start_ticks == pid && is_whole(&process));
	}
	/* Used again. */
	board_push_event(rig->writer, (struct board_event) { BOARD_BIRTH, FIRST + 1, 7 });
	process = process_of(FIRST + 1, 7);
	board_write_process(rig->writer, &process);
	assert_int_equal(board_read_process(rig->reader, FIRST + 1, &process), BOARD_FOUND);
	assert_int_equal(process.start_ticks, 7);
}

static void records_are_read_as_written(void **state)
{
	const struct rig *rig = *state;
	struct board_system node = { .sampled_ns = 7 }, got_node;
	struct board_health health = { .generation = 3, .history_state = BOARD_HISTORY_FULL }, got_health;
	struct settings settings, got_settings;

	system_values_set(&node.values, SYSTEM_TOTAL, 123456);
	board_write_system(rig->writer, &node);
	assert_int_equal(board_read_system(rig->reader, &got_node), BOARD_FOUND);
	assert_memory_equal(&node, &got_node, sizeof(node));
	board_write_health(rig->writer, &health);
	assert_int_equal(board_read_health(rig->reader, &got_health), BOARD_FOUND);
	assert_memory_equal(&health, &got_health, sizeof(health));
	settings_init(&settings);
	settings.value[SETTING_SAMPLE_INTERVAL_MS] = 50;
	board_write_settings(rig->writer, &settings);
	assert_int_equal(board_read_settings(rig->reader, &got_settings), BOARD_FOUND);
	assert_memory_equal(&settings, &got_settings, sizeof(settings));
}

static void rings_say_what_was_lost(void **state)
{
	const struct rig *rig = *state;
	struct board_event event;
	struct board_news news = { .kind = NEWS_START };

	for (uint64_t i = 1; i <= BOARD_RING + 10; i++)
		board_push_event(
			rig->writer, (struct board_event) { BOARD_BIRTH, (uint32_t)(i % 1000 + 1), i });
	assert_int_equal(board_event_head(rig->reader), BOARD_RING + 11);
	assert_int_equal(board_read_event(rig->reader, 0, &event), BOARD_BUSY);
	assert_int_equal(board_read_event(rig->reader, 10, &event), BOARD_BUSY);
	assert_int_equal(board_read_event(rig->reader, BOARD_RING + 11, &event), BOARD_ABSENT);
	for (uint64_t i = 11; i <= BOARD_RING + 10; i++) {
		assert_int_equal(board_read_event(rig->reader, i, &event), BOARD_FOUND);
		assert_int_equal(event.start_ticks, i);
		assert_int_equal(event.pid, i % 1000 + 1);
		assert_int_equal(event.kind, BOARD_BIRTH);
	}
	for (uint64_t i = 1; i <= BOARD_NEWS + 1; i++) {
		news.pid = (uint32_t)i;
		board_push_news(rig->writer, &news);
		assert_int_equal(news.seq, i);
	}
	assert_int_equal(board_read_news(rig->reader, 1, &news), BOARD_BUSY);
	for (uint64_t i = 2; i <= BOARD_NEWS + 1; i++) {
		assert_int_equal(board_read_news(rig->reader, i, &news), BOARD_FOUND);
		assert_int_equal(news.seq, i);
		assert_int_equal(news.pid, i);
	}
}

enum { HOT_PID = 4242 };
struct race {
	const struct rig *rig;
	atomic_bool stop;
	atomic_uint torn, found, events, gaps;
};

static void *read_on(void *arg)
{
	struct race *race = arg;
	struct board_process process;
	struct board_event event;
	uint64_t seq = 1;

	while (!atomic_load(&race->stop)) {
		if (board_read_process(race->rig->reader, HOT_PID, &process) == BOARD_FOUND) {
			atomic_fetch_add(&race->found, 1);
			if (!is_whole(&process))
				atomic_fetch_add(&race->torn, 1);
		}
		enum board_outcome outcome = board_read_event(race->rig->reader, seq, &event);
		if (outcome == BOARD_FOUND) {
			atomic_fetch_add(&race->events, 1);
			if (event.start_ticks != seq || event.pid != (uint32_t)(seq % 30000 + 1))
				atomic_fetch_add(&race->torn, 1);
			seq++;
		} else if (outcome == BOARD_BUSY) {
			atomic_fetch_add(&race->gaps, 1);
			seq = board_event_head(race->rig->reader);
		}
	}
	return NULL;
}

static void readers_never_see_a_torn_record(void **state)
{
	struct race race = { .rig = *state };
	pthread_t readers[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, &race), 0);
	int64_t until_ns = clock_monotonic_ns() + 500000000, limit_ns = until_ns + INT64_C(20000000000);
	for (uint64_t seed = 1;; seed++) {
		int64_t now_ns = clock_monotonic_ns();
		if ((now_ns >= until_ns && atomic_load(&race.found) > 100 &&
			    atomic_load(&race.events) > 100) ||
			now_ns >= limit_ns)
			break;
		struct board_process process = process_of(HOT_PID, seed);
		if (seed % 64 == 0)
			board_clear_process(race.rig->writer, HOT_PID);
		board_write_process(race.rig->writer, &process);
		board_push_event(race.rig->writer,
			(struct board_event) { BOARD_EXEC, (uint32_t)(seed % 30000 + 1), seed });
	}
	atomic_store(&race.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&race.torn), 0);
	assert_true(atomic_load(&race.found) > 100);
	assert_true(atomic_load(&race.events) > 100);
}

static void what_a_dead_writer_left_is_repaired(void **state)
{
	const struct rig *rig = *state;
	struct board_process process = process_of(77, 1), other = process_of(78, 2);
	struct board_health health = { .generation = 41, .dropped = 2 }, taken;
	struct board_system node = { .sampled_ns = 1 };

	board_write_process(rig->writer, &process);
	board_write_process(rig->writer, &other);
	board_write_health(rig->writer, &health);
	board_write_system(rig->writer, &node);
	board_push_event(rig->writer, (struct board_event) { BOARD_BIRTH, 77, 1 });
	/* Died in the middle of all of them. */
	struct board_memory *memory = rig->writer->memory;
	board_write_begin(&memory->slot[77].number);
	board_write_begin(&memory->health_number);
	board_write_begin(&memory->system_number);

	assert_int_equal(board_read_process(rig->reader, 77, &process), BOARD_BUSY);
	assert_int_equal(board_read_health(rig->reader, &health), BOARD_BUSY);
	assert_int_equal(board_read_process(rig->reader, 78, &other), BOARD_FOUND);

	board_take_over(rig->writer, &taken);
	assert_int_equal(taken.generation, 41);
	assert_int_equal(taken.dropped, 2);
	assert_int_equal(board_read_health(rig->reader, &health), BOARD_FOUND);
	assert_int_equal(health.generation, 41);
	assert_int_equal(board_read_process(rig->reader, 77, &process), BOARD_ABSENT);
	assert_int_equal(board_read_process(rig->reader, 78, &other), BOARD_FOUND);
	assert_int_equal(board_read_system(rig->reader, &node), BOARD_ABSENT);
	assert_int_equal(board_event_head(rig->reader), 2);

	/* A slot that was odd and not yet on the board is written like any other. */
	board_write_begin(&memory->slot[79].number);
	process = process_of(79, 3);
	board_write_process(rig->writer, &process);
	assert_int_equal(board_read_process(rig->reader, 79, &process), BOARD_FOUND);
	assert_true(is_whole(&process));
}

static void lies_are_put_in_range(void **state)
{
	const struct rig *rig = *state;
	struct board_process process = process_of(9, 1);
	struct board_health health = { .history_state = 99, .births_from = 99, .sweep = 99 };
	struct settings settings = { 0 };
	struct board_news news = { .kind = 77 };

	memset(process.comm, 'x', sizeof(process.comm));
	memset(&process.kernel_thread, 0x5a, 1);
	process.state = '\n';
	process.values.present = UINT64_MAX;
	board_write_process(rig->writer, &process);
	assert_int_equal(board_read_process(rig->reader, 9, &process), BOARD_FOUND);
	assert_int_equal(strlen(process.comm), BOARD_COMM - 1);
	assert_true(process.kernel_thread);
	assert_int_equal(process.state, '?');
	assert_int_equal(process.values.present >> N_PROCESS_METRICS, 0);

	/* A slot that says it is another's. */
	atomic_store(&rig->writer->memory->slot[9].word[0], 10);
	assert_int_equal(board_read_process(rig->reader, 9, &process), BOARD_ABSENT);

	board_write_health(rig->writer, &health);
	assert_int_equal(board_read_health(rig->reader, &health), BOARD_FOUND);
	assert_int_equal(health.history_state, BOARD_HISTORY_ABSENT);
	assert_int_equal(health.births_from, BOARD_BIRTHS_SWEEP);
	assert_int_equal(health.sweep, BOARD_SWEEP_PORTABLE);
	board_write_settings(rig->writer, &settings);
	assert_int_equal(board_read_settings(rig->reader, &settings), BOARD_FOUND);
	assert_int_equal(
		settings.value[SETTING_SAMPLE_INTERVAL_MS], setting_rows[SETTING_SAMPLE_INTERVAL_MS].initial);
	board_push_event(rig->writer, (struct board_event) { 99, 1, 1 });
	assert_int_equal(board_read_event(rig->reader, 1, &(struct board_event) { 0 }), BOARD_BUSY);
	board_push_news(rig->writer, &news);
	assert_int_equal(board_read_news(rig->reader, 1, &news), BOARD_BUSY);
	memset(news.text, 'y', sizeof(news.text));
	news.kind = NEWS_LEAK;
	board_push_news(rig->writer, &news);
	assert_int_equal(board_read_news(rig->reader, 2, &news), BOARD_FOUND);
	assert_int_equal(strlen(news.text), BOARD_NEWS_TEXT - 1);
}

static void notes_and_what_fires_come_back(void **state)
{
	const struct rig *rig = *state;
	struct note_text *note = calloc(2, sizeof(*note)), *got = note + 1;
	struct board_firing *firing = calloc(2, sizeof(*firing)), *fires = firing + 1;

	assert_true(note && firing);
	assert_int_equal(board_read_note(rig->reader, NOTE_TAGS, got), BOARD_ABSENT);
	assert_int_equal(board_read_firing(rig->reader, fires), BOARD_ABSENT);
	for (size_t len = NOTE_MAX; len; len /= 3) {
		memset(note->text, 'a' + (int)(len % 26), len);
		note->len = len;
		board_write_note(rig->writer, NOTE_ALERTS, note);
		assert_int_equal(board_read_note(rig->reader, NOTE_ALERTS, got), BOARD_FOUND);
		assert_int_equal(got->len, len);
		assert_memory_equal(got->text, note->text, len);
	}
	assert_int_equal(board_read_note(rig->reader, NOTE_TAGS, got), BOARD_ABSENT);
	for (firing->n = BOARD_FIRING; firing->n; firing->n /= 2) {
		firing->entry[firing->n - 1].pid = firing->n;
		board_write_firing(rig->writer, firing);
		assert_int_equal(board_read_firing(rig->reader, fires), BOARD_FOUND);
		assert_int_equal(fires->n, firing->n);
		assert_memory_equal(fires->entry, firing->entry, firing->n * sizeof(firing->entry[0]));
	}
	/* Lengths that are none. */
	atomic_store(&rig->writer->memory->note[NOTE_ALERTS][0], NOTE_MAX + 1);
	board_read_note(rig->reader, NOTE_ALERTS, got);
	assert_int_equal(got->len, 0);
	atomic_store(&rig->writer->memory->firing[0], BOARD_FIRING + 1);
	board_read_firing(rig->reader, fires);
	assert_int_equal(fires->n, 0);
	free(note);
	free(firing);
}

static void numbers_of_news_go_on_on_a_new_board(void **state)
{
	const struct rig *rig = *state;
	struct board_news news = { .kind = NEWS_NODE };
	char subject[BOARD_NEWS_SUBJECT];

	board_resume_news(rig->writer, 70000);
	assert_int_equal(board_news_head(rig->reader), 70000);
	board_push_news(rig->writer, &news);
	assert_int_equal(news.seq, 70001);
	assert_int_equal(board_read_news(rig->reader, 70001, &news), BOARD_FOUND);
	assert_int_equal(board_read_news(rig->reader, 70000, &news), BOARD_BUSY);
	board_resume_news(rig->writer, 90000); /* not new any more */
	assert_int_equal(board_news_head(rig->reader), 70001);

	assert_string_equal(board_news_subject(&news, subject), "node");
	news.pid = 4194303;
	assert_string_equal(board_news_subject(&news, subject), "pid/4194303");
	strcpy(news.subject, "by-name/x");
	assert_string_equal(board_news_subject(&news, subject), "by-name/x");
}

static void readers_cannot_write(void **state)
{
	const struct rig *rig = *state;
	struct board *board;
	struct stat st;

	assert_int_equal(board_map(rig->read_fd, true, &board), -EACCES);
	assert_int_equal(mprotect(rig->reader->memory, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(ftruncate(rig->fd, 4096), -1);
	assert_int_equal(fstat(rig->fd, &st), 0);
	/* Nor may another user reopen the descriptor for writing. */
	assert_int_equal(st.st_mode & 0777, 0600);

	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL); /* whatever a sanitizer would say */
		*(volatile uint64_t *)&rig->reader->memory->magic = 0;
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void only_a_board_is_mapped(void **state)
{
	struct board *board = NULL;
	int fd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(struct board_memory)), 0);
	assert_int_equal(board_map(fd, false, &board), -EPROTO); /* its owner could cut it under us */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(board_map(fd, false, &board), -EPROTO); /* no magic */
	close(fd);
	assert_int_equal(board_map(fd, false, &board), -EBADF);
	assert_null(board);
}

static void pages_are_made_when_touched(void **state)
{
	const struct rig *rig = *state;
	struct board_process process = process_of(1, 1);
	struct stat st;

	board_write_process(rig->writer, &process);
	for (uint32_t pid = 1; pid < BOARD_PIDS; pid += 97)
		board_read_process(rig->reader, pid, &process);
	assert_int_equal(board_next_pid(rig->reader, 2), 0);
	assert_int_equal(fstat(rig->fd, &st), 0);
	assert_true(st.st_blocks * 512 < 2 << 20);
}

struct sleeper {
	const struct board *board;
	atomic_bool woken;
};

static void *sleep_for_news(void *arg)
{
	struct sleeper *sleeper = arg;
	board_wait_news(sleeper->board, 0, 60000);
	atomic_store(&sleeper->woken, board_news_head(sleeper->board) == 1);
	return NULL;
}

static void news_wakes_who_waits(void **state)
{
	const struct rig *rig = *state;
	struct sleeper sleeper = { .board = rig->reader };
	struct board_news news = { .kind = NEWS_NODE, .text = "here" };
	pthread_t thread;

	int64_t begin_ns = clock_monotonic_ns();
	board_wait_news(rig->reader, 0, 20);
	assert_true(clock_monotonic_ns() - begin_ns >= 20000000);

	begin_ns = clock_monotonic_ns();
	assert_int_equal(pthread_create(&thread, NULL, sleep_for_news, &sleeper), 0);
	board_push_news(rig->writer, &news);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&sleeper.woken));
	assert_true(clock_monotonic_ns() - begin_ns < INT64_C(30000000000));
	board_wait_news(rig->reader, 0, 60000); /* already there */
	assert_int_equal(board_read_news(rig->reader, 1, &news), BOARD_FOUND);
	assert_string_equal(news.text, "here");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_board_has_nothing),
		TEST(processes_come_and_go),
		TEST(memory_of_the_ended_goes_back),
		TEST(records_are_read_as_written),
		TEST(rings_say_what_was_lost),
		TEST(readers_never_see_a_torn_record),
		TEST(what_a_dead_writer_left_is_repaired),
		TEST(lies_are_put_in_range),
		TEST(readers_cannot_write),
		TEST(only_a_board_is_mapped),
		TEST(pages_are_made_when_touched),
		TEST(news_wakes_who_waits),
		TEST(notes_and_what_fires_come_back),
		TEST(numbers_of_news_go_on_on_a_new_board),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
