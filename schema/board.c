/* SPDX-License-Identifier: MIT */
/* Making and mapping the board, and its writer. Readers are in board_read.c. */
#include "schema/board.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/board_layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { BOARD_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

/* Any change of a record's size makes another layout: programs of two builds do not read each other's bytes.
 */
static uint64_t layout(void)
{
	const uint64_t parts[] = { BOARD_VERSION, sizeof(struct board_memory), sizeof(struct board_process),
		sizeof(struct board_system), sizeof(struct board_health), sizeof(struct settings),
		sizeof(struct board_news), sizeof(struct note_text), sizeof(struct board_firing),
		sizeof(struct board_cgroup), sizeof(struct board_leaks), N_PROCESS_METRICS, N_SYSTEM_METRICS,
		N_PROCESS_RATES, N_SYSTEM_RATES, N_WINDOWS };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		hash = (hash ^ parts[i]) * UINT64_C(0x100000001b3);
	return hash;
}

int board_create(void)
{
	CLEANUP_CLOSE int fd = memfd_create("memfs-board", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("memfs-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;

	/* A memfd is 0777: without this a reader could reopen its descriptor for writing. */
	const uint64_t head[] = { BOARD_MAGIC, layout() };
	if (fchmod(fd, 0600) != 0 || ftruncate(fd, sizeof(struct board_memory)) != 0)
		return -errno;
	ssize_t written = pwrite(fd, head, sizeof(head), 0);
	if (written != sizeof(head))
		return written < 0 ? -errno : -EIO;
	if (fcntl(fd, F_ADD_SEALS, BOARD_SEALS) != 0)
		return -errno;
	return steal_fd(&fd);
}

int board_reopen_read_only(int fd)
{
	/* The kernel's only way to a second open file of a memfd. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int copy = open(path, O_RDONLY | O_CLOEXEC);
	return copy < 0 ? -errno : copy;
}

int board_map(int fd, bool writable, struct board **ret_board)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		return -errno;
	if ((seals & BOARD_SEALS) != BOARD_SEALS || st.st_size != (off_t)sizeof(struct board_memory))
		return -EPROTO;

	uint64_t head[2];
	ssize_t got = pread(fd, head, sizeof(head), 0);
	if (got != sizeof(head))
		return got < 0 ? -errno : -EIO;
	if (head[0] != BOARD_MAGIC || head[1] != layout())
		return -EPROTO;

	struct board *board = calloc(1, sizeof(*board));
	if (!board)
		return -ENOMEM;
	board->memory = mmap(NULL, sizeof(struct board_memory), writable ? PROT_READ | PROT_WRITE : PROT_READ,
		MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (board->memory == MAP_FAILED) {
		int r = -errno;
		free(board);
		return r;
	}
	/* Slots lie apart, and most pids are never used: a huge page would be wasted on a few of them. */
	madvise(board->memory, sizeof(struct board_memory), MADV_NOHUGEPAGE);
	*ret_board = board;
	return 0;
}

void board_unmap(struct board *board)
{
	if (!board)
		return;
	munmap(board->memory, sizeof(struct board_memory));
	free(board);
}

static void record_store(board_word *number, board_word *words, const void *from, size_t size)
{
	uint64_t odd = board_write_begin(number);
	board_words_store(words, from, size);
	board_write_end(number, odd);
}

/* A record that its writer did not finish is as if it had never been. */
static void forget_torn(board_word *number)
{
	if (atomic_load_explicit(number, memory_order_relaxed) & 1)
		atomic_store_explicit(number, 0, memory_order_release);
}

void board_take_over(struct board *board, struct board_health *ret_health)
{
	struct board_memory *memory = board->memory;

	/* Single words are never torn: what the dead writer was in the middle of is a mixture of two ticks at
	 * worst. */
	board_words_load(ret_health, memory->health, sizeof(*ret_health));
	if (atomic_load_explicit(&memory->health_number, memory_order_relaxed) & 1)
		board_write_health(board, ret_health);
	forget_torn(&memory->system_number);
	forget_torn(&memory->settings_number);
	forget_torn(&memory->firing_number);
	for (uint32_t i = 0; i < board_leak_slots(board); i++)
		forget_torn(&memory->leak[i].number);
	for (int i = 0; i < N_NOTES; i++)
		forget_torn(&memory->note_number[i]);

	/* What ended under a predecessor may have its memory still. */
	memset(board->cleared, 0xff, sizeof(board->cleared));
	for (uint32_t pid = board_next_pid(board, 0); pid; pid = board_next_pid(board, pid + 1))
		if (atomic_load_explicit(&memory->slot[pid].number, memory_order_relaxed) & 1)
			board_clear_process(board, pid);
}

void board_write_process(struct board *board, const struct board_process *process)
{
	if (process->pid == 0 || process->pid >= BOARD_PIDS)
		return;
	struct board_slot *slot = &board->memory->slot[process->pid];
	/* Trimmed meanwhile: a reader who is still at the pid's last process must not find its number again.
	 */
	if (!atomic_load_explicit(&slot->number, memory_order_relaxed))
		atomic_store_explicit(&slot->number,
			2 * atomic_load_explicit(&board->memory->event_last, memory_order_relaxed),
			memory_order_relaxed);
	record_store(&slot->number, slot->word, process, sizeof(*process));

	board_word *live = &board->memory->live[process->pid / 64];
	uint64_t bit = UINT64_C(1) << process->pid % 64;
	uint64_t had = atomic_load_explicit(live, memory_order_relaxed);
	if (!(had & bit)) /* one writer: no read-modify-write needed */
		atomic_store_explicit(live, had | bit, memory_order_release);
}

void board_clear_process(struct board *board, uint32_t pid)
{
	if (pid >= BOARD_PIDS)
		return;
	board_word *live = &board->memory->live[pid / 64];
	uint64_t had = atomic_load_explicit(live, memory_order_relaxed);
	atomic_store_explicit(live, had & ~(UINT64_C(1) << pid % 64), memory_order_release);

	/* Pid 0 is nobody's: a reader that was past the bitmap finds another pid than it asked for. */
	struct board_slot *slot = &board->memory->slot[pid];
	uint64_t odd = board_write_begin(&slot->number);
	atomic_store_explicit(&slot->word[0], 0, memory_order_release);
	board_write_end(&slot->number, odd);
	board->cleared[pid / 64 / 64] |= UINT64_C(1) << pid / 64 % 64;
}

void board_write_cgroup(struct board *board, const struct board_cgroup *cgroup)
{
	struct board_memory *memory = board->memory;
	uint32_t at = (uint32_t)(cgroup->id % BOARD_CGROUPS);
	struct board_cgroup_slot *slot = &memory->cgroup[at];

	/* Up to the end of the path: most are far shorter than their slot. */
	record_store(
		&slot->number, slot->word, cgroup, offsetof(struct board_cgroup, path) + cgroup->len + 1);
	if (at >= atomic_load_explicit(&memory->cgroup_slots, memory_order_relaxed))
		atomic_store_explicit(&memory->cgroup_slots, at + 1, memory_order_release);
}

void board_clear_cgroup(struct board *board, uint64_t id)
{
	board_write_cgroup(board, &(const struct board_cgroup) { .id = id });
}

void board_write_leaks(struct board *board, uint32_t slot, const struct board_leaks *leaks)
{
	struct board_memory *memory = board->memory;

	record_store(&memory->leak[slot].number, memory->leak[slot].word, leaks, sizeof(*leaks));
	if (slot >= atomic_load_explicit(&memory->leak_slots, memory_order_relaxed))
		atomic_store_explicit(&memory->leak_slots, slot + 1, memory_order_release);
}

void board_clear_leaks(struct board *board, uint32_t slot)
{
	board_write_leaks(board, slot, &(const struct board_leaks) { 0 });
}

void board_write_system(struct board *board, const struct board_system *system)
{
	record_store(&board->memory->system_number, board->memory->system, system, sizeof(*system));
}

void board_write_health(struct board *board, const struct board_health *health)
{
	record_store(&board->memory->health_number, board->memory->health, health, sizeof(*health));
}

void board_write_settings(struct board *board, const struct settings *settings)
{
	record_store(&board->memory->settings_number, board->memory->settings, settings, sizeof(*settings));
}

void board_write_note(struct board *board, enum note id, const struct note_text *note)
{
	record_store(&board->memory->note_number[id], board->memory->note[id], note,
		offsetof(struct note_text, text) + note->len);
}

void board_write_firing(struct board *board, const struct board_firing *firing)
{
	record_store(&board->memory->firing_number, board->memory->firing, firing,
		offsetof(struct board_firing, entry) + firing->n * sizeof(firing->entry[0]));
}

void board_resume_news(struct board *board, uint64_t seq)
{
	struct board_memory *memory = board->memory;
	if (atomic_load_explicit(&memory->news_last, memory_order_relaxed))
		return;
	atomic_store_explicit(&memory->news_futex, (uint32_t)seq, memory_order_release);
	atomic_store_explicit(&memory->news_last, seq, memory_order_release);
}

void board_push_event(struct board *board, struct board_event event)
{
	struct board_memory *memory = board->memory;
	uint64_t number = atomic_load_explicit(&memory->event_last, memory_order_relaxed) + 1;
	struct board_event_entry *entry = &memory->event[number % BOARD_RING];

	atomic_store_explicit(&entry->number, 0, memory_order_relaxed);
	atomic_store_explicit(&entry->kind_pid, (uint64_t)event.kind << 32 | event.pid, memory_order_release);
	atomic_store_explicit(&entry->start_ticks, event.start_ticks, memory_order_release);
	atomic_store_explicit(&entry->number, number, memory_order_release);
	atomic_store_explicit(&memory->event_last, number, memory_order_release);
}

void board_push_news(struct board *board, struct board_news *news)
{
	struct board_memory *memory = board->memory;
	uint64_t number = atomic_load_explicit(&memory->news_last, memory_order_relaxed) + 1;
	struct board_news_entry *entry = &memory->news[number % BOARD_NEWS];

	news->seq = number;
	news->subject[BOARD_NEWS_SUBJECT - 1] = '\0';
	news->text[BOARD_NEWS_TEXT - 1] = '\0';
	atomic_store_explicit(&entry->number, 0, memory_order_relaxed);
	board_words_store(entry->word, news, sizeof(*news));
	atomic_store_explicit(&entry->number, number, memory_order_release);
	atomic_store_explicit(&memory->news_last, number, memory_order_release);
	atomic_store_explicit(&memory->news_futex, (uint32_t)number, memory_order_release);
	syscall(SYS_futex, &memory->news_futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
