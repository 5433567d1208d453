/* SPDX-License-Identifier: MIT */
/*
 * Readers of the board. Whoever writes it may have died in the middle, or be an enemy: numbers are bounded,
 * text is ended, enums are put in range before anything leaves here.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/board.h"
#include "schema/board_layout.h"

const char *const board_sweep_name[N_BOARD_SWEEPS] = {
	[BOARD_SWEEP_PORTABLE] = "portable",
	[BOARD_SWEEP_BPF] = "bpf",
	[BOARD_SWEEP_BPF_ITERATOR] = "bpf-iterator",
};

const char *const board_news_kind_name[N_NEWS_KINDS] = { "start", "exit", "growth", "leak", "tier", "advice",
	"alert", "node", "config", "dropped" };

enum board_outcome board_record_load(void *to, const board_word *number, const board_word *words, size_t size)
{
	for (int i = 0; i < BOARD_READ_TRIES; i++) {
		uint64_t before = atomic_load_explicit(number, memory_order_acquire);
		if (before == 0)
			return BOARD_ABSENT;
		if (before & 1)
			continue;
		board_words_load(to, words, size);
		if (atomic_load_explicit(number, memory_order_relaxed) == before)
			return BOARD_FOUND;
	}
	return BOARD_BUSY;
}

enum board_outcome board_read_process(const struct board *board, uint32_t pid, struct board_process *ret)
{
	/* The bitmap first: to look at the slot of a pid that never was would make its page. */
	if (pid == 0 || pid >= BOARD_PIDS)
		return BOARD_ABSENT;
	if (!(atomic_load_explicit(&board->memory->live[pid / 64], memory_order_acquire) >> pid % 64 & 1))
		return BOARD_ABSENT;

	/* As bytes until they are known to be a struct: a bool may be neither true nor false here. */
	_Alignas(struct board_process) unsigned char raw[sizeof(struct board_process)];
	const struct board_slot *slot = &board->memory->slot[pid];
	enum board_outcome outcome = board_record_load(raw, &slot->number, slot->word, sizeof(raw));
	if (outcome != BOARD_FOUND)
		return outcome;
	unsigned char *flag = &raw[offsetof(struct board_process, kernel_thread)];
	*flag = *flag != 0;

	struct board_process process;
	memcpy(&process, raw, sizeof(process));
	if (process.pid != pid)
		return BOARD_ABSENT;
	process.comm[BOARD_COMM - 1] = '\0';
	if ((process.state < 'A' || process.state > 'Z') && (process.state < 'a' || process.state > 'z'))
		process.state = '?';
	process.values.present &= (UINT64_C(1) << N_PROCESS_METRICS) - 1;
	*ret = process;
	return BOARD_FOUND;
}

uint32_t board_cgroup_slots(const struct board *board)
{
	uint64_t slots = atomic_load_explicit(&board->memory->cgroup_slots, memory_order_acquire);
	return slots < BOARD_CGROUPS ? (uint32_t)slots : BOARD_CGROUPS;
}

enum board_outcome board_read_cgroup_slot(const struct board *board, uint32_t slot, struct board_cgroup *ret)
{
	/* To look at one that never was would make its page. */
	if (slot >= board_cgroup_slots(board))
		return BOARD_ABSENT;
	const struct board_cgroup_slot *from = &board->memory->cgroup[slot];
	struct board_cgroup cgroup;
	enum board_outcome outcome = board_record_load(&cgroup, &from->number, from->word, sizeof(cgroup));
	if (outcome != BOARD_FOUND)
		return outcome;
	if (cgroup.id % BOARD_CGROUPS != slot)
		return BOARD_ABSENT;
	if (cgroup.len >= BOARD_CGROUP_PATH)
		cgroup.len = BOARD_CGROUP_PATH - 1;
	cgroup.path[cgroup.len] = '\0';
	*ret = cgroup;
	return BOARD_FOUND;
}

enum board_outcome board_read_cgroup(const struct board *board, uint64_t id, struct board_cgroup *ret)
{
	struct board_cgroup cgroup;
	enum board_outcome outcome =
		id ? board_read_cgroup_slot(board, (uint32_t)(id % BOARD_CGROUPS), &cgroup) : BOARD_ABSENT;

	if (outcome == BOARD_FOUND && (cgroup.id != id || !cgroup.len))
		outcome = BOARD_ABSENT;
	if (outcome == BOARD_FOUND)
		*ret = cgroup;
	return outcome;
}

uint32_t board_leak_slots(const struct board *board)
{
	uint64_t slots = atomic_load_explicit(&board->memory->leak_slots, memory_order_acquire);
	return slots < BOARD_LEAKS ? (uint32_t)slots : BOARD_LEAKS;
}

enum board_outcome board_read_leak_slot(const struct board *board, uint32_t slot, struct board_leaks *ret)
{
	if (slot >= board_leak_slots(board))
		return BOARD_ABSENT;
	const struct board_leak_slot *from = &board->memory->leak[slot];
	struct board_leaks leaks;
	enum board_outcome outcome = board_record_load(&leaks, &from->number, from->word, sizeof(leaks));
	if (outcome == BOARD_FOUND && !leaks.pid)
		outcome = BOARD_ABSENT;
	if (outcome == BOARD_FOUND)
		*ret = leaks;
	return outcome;
}

uint32_t board_find_leaks(const struct board *board, uint32_t pid, uint64_t start_ticks)
{
	const uint32_t slots = board_leak_slots(board);
	struct board_leaks leaks;

	for (uint32_t i = 0; i < slots; i++) {
		/* Of the first word alone: whose it may be. */
		if ((uint32_t)atomic_load_explicit(&board->memory->leak[i].word[0], memory_order_acquire) ==
				pid &&
			board_read_leak_slot(board, i, &leaks) == BOARD_FOUND && leaks.pid == pid &&
			leaks.start_ticks == start_ticks)
			return i;
	}
	return BOARD_LEAKS;
}

enum board_outcome board_read_system(const struct board *board, struct board_system *ret)
{
	struct board_system system;
	enum board_outcome outcome = board_record_load(
		&system, &board->memory->system_number, board->memory->system, sizeof(system));
	if (outcome != BOARD_FOUND)
		return outcome;
	system.values.present &= (UINT64_C(1) << N_SYSTEM_METRICS) - 1;
	*ret = system;
	return BOARD_FOUND;
}

enum board_outcome board_read_health(const struct board *board, struct board_health *ret)
{
	struct board_health health;
	enum board_outcome outcome = board_record_load(
		&health, &board->memory->health_number, board->memory->health, sizeof(health));
	if (outcome != BOARD_FOUND)
		return outcome;
	if (health.history_state > BOARD_HISTORY_READ_ONLY)
		health.history_state = BOARD_HISTORY_ABSENT;
	if (health.births_from > BOARD_BIRTHS_CONNECTOR)
		health.births_from = BOARD_BIRTHS_SWEEP;
	if (health.sweep >= N_BOARD_SWEEPS)
		health.sweep = BOARD_SWEEP_PORTABLE;
	*ret = health;
	return BOARD_FOUND;
}

enum board_outcome board_read_settings(const struct board *board, struct settings *ret)
{
	struct settings settings;
	enum board_outcome outcome = board_record_load(
		&settings, &board->memory->settings_number, board->memory->settings, sizeof(settings));
	if (outcome != BOARD_FOUND)
		return outcome;
	for (int i = 0; i < N_SETTINGS; i++)
		if (settings.value[i] < setting_rows[i].min || settings.value[i] > setting_rows[i].max)
			settings.value[i] = setting_rows[i].initial;
	*ret = settings;
	return BOARD_FOUND;
}

enum board_outcome board_read_note(const struct board *board, enum note id, struct note_text *ret)
{
	const struct board_memory *memory = board->memory;
	enum board_outcome outcome =
		board_record_load(ret, &memory->note_number[id], memory->note[id], sizeof(*ret));

	if (ret->len > NOTE_MAX || outcome != BOARD_FOUND)
		ret->len = 0;
	return outcome;
}

enum board_outcome board_read_firing(const struct board *board, struct board_firing *ret)
{
	const struct board_memory *memory = board->memory;
	enum board_outcome outcome =
		board_record_load(ret, &memory->firing_number, memory->firing, sizeof(*ret));

	if (ret->n > BOARD_FIRING || outcome != BOARD_FOUND)
		ret->n = 0;
	return outcome;
}

const char *board_news_subject(const struct board_news *news, char array[static BOARD_NEWS_SUBJECT])
{
	struct buf text = { .data = array, .cap = BOARD_NEWS_SUBJECT, .fixed = true };

	if (*news->subject)
		return news->subject;
	if (!news->pid)
		return "node";
	buf_puts(&text, "pid/");
	buf_put_u64(&text, news->pid);
	buf_putc(&text, '\0');
	return array;
}

uint32_t board_next_pid(const struct board *board, uint32_t from)
{
	if (from >= BOARD_PIDS)
		return 0;
	uint64_t mask = ~UINT64_C(0) << from % 64;
	for (uint32_t i = from / 64; i < BOARD_BITMAP_WORDS; i++, mask = ~UINT64_C(0)) {
		uint64_t word = atomic_load_explicit(&board->memory->live[i], memory_order_acquire) & mask;
		if (i == 0)
			word &= ~UINT64_C(1);
		if (word)
			return i * 64 + (uint32_t)__builtin_ctzll(word);
	}
	return 0;
}

uint64_t board_event_head(const struct board *board)
{
	return atomic_load_explicit(&board->memory->event_last, memory_order_acquire) + 1;
}

enum board_outcome board_read_event(const struct board *board, uint64_t seq, struct board_event *ret)
{
	if (seq == 0)
		return BOARD_BUSY;
	if (seq >= board_event_head(board))
		return BOARD_ABSENT;
	const struct board_event_entry *entry = &board->memory->event[seq % BOARD_RING];
	if (atomic_load_explicit(&entry->number, memory_order_acquire) != seq)
		return BOARD_BUSY;
	uint64_t kind_pid = atomic_load_explicit(&entry->kind_pid, memory_order_acquire);
	uint64_t start_ticks = atomic_load_explicit(&entry->start_ticks, memory_order_acquire);
	if (atomic_load_explicit(&entry->number, memory_order_relaxed) != seq)
		return BOARD_BUSY;

	struct board_event event = { (uint32_t)(kind_pid >> 32), (uint32_t)kind_pid, start_ticks };
	if (event.kind < BOARD_BIRTH || event.kind > BOARD_CGROUP || event.pid == 0 ||
		event.pid >= BOARD_PIDS)
		return BOARD_BUSY;
	*ret = event;
	return BOARD_FOUND;
}

uint64_t board_news_head(const struct board *board)
{
	return atomic_load_explicit(&board->memory->news_last, memory_order_acquire);
}

enum board_outcome board_read_news(const struct board *board, uint64_t seq, struct board_news *ret)
{
	if (seq == 0)
		return BOARD_BUSY;
	if (seq > board_news_head(board))
		return BOARD_ABSENT;
	const struct board_news_entry *entry = &board->memory->news[seq % BOARD_NEWS];
	if (atomic_load_explicit(&entry->number, memory_order_acquire) != seq)
		return BOARD_BUSY;
	struct board_news news;
	board_words_load(&news, entry->word, sizeof(news));
	if (atomic_load_explicit(&entry->number, memory_order_relaxed) != seq || news.kind >= N_NEWS_KINDS)
		return BOARD_BUSY;
	news.seq = seq;
	news.subject[BOARD_NEWS_SUBJECT - 1] = '\0';
	news.text[BOARD_NEWS_TEXT - 1] = '\0';
	*ret = news;
	return BOARD_FOUND;
}

void board_wait_news(const struct board *board, uint64_t seq, int timeout_ms)
{
	int64_t end = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
	for (;;) {
		uint32_t value = atomic_load_explicit(&board->memory->news_futex, memory_order_acquire);
		int64_t left = end - clock_monotonic_ns();
		if (board_news_head(board) > seq || left <= 0)
			return;
		struct timespec ts = { left / 1000000000, left % 1000000000 };
		long r = syscall(SYS_futex, &board->memory->news_futex, FUTEX_WAIT, value, &ts, NULL, 0);
		if (r != 0 && errno != EAGAIN && errno != ETIMEDOUT)
			return;
	}
}
