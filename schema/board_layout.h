/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the board, for board*.c alone. Every word is an atomic, and every record a seqlock: its number
 * is odd while it is written. Words are stored with release and loaded with acquire order instead of the
 * usual fences: who saw one word of a newer write also sees its odd number. That costs nothing on x86, and
 * ThreadSanitizer understands it (it knows no fences).
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schema/board.h"

#define BOARD_MAGIC UINT64_C(0x6472616f62736d65) /* "emsboard" */

typedef _Atomic uint64_t board_word;

enum {
	BOARD_VERSION = 5, /* of the meaning of the records; their sizes are checked beside it */
	BOARD_PROCESS_WORDS = (sizeof(struct board_process) + 7) / 8,
	BOARD_SYSTEM_WORDS = (sizeof(struct board_system) + 7) / 8,
	BOARD_HEALTH_WORDS = (sizeof(struct board_health) + 7) / 8,
	BOARD_SETTINGS_WORDS = (sizeof(struct settings) + 7) / 8,
	BOARD_NOTE_WORDS = (sizeof(struct note_text) + 7) / 8,
	BOARD_FIRING_WORDS = (sizeof(struct board_firing) + 7) / 8,
	BOARD_NEWS_WORDS = (sizeof(struct board_news) + 7) / 8,
	BOARD_CGROUP_WORDS = (sizeof(struct board_cgroup) + 7) / 8,
	BOARD_LEAKS_WORDS = (sizeof(struct board_leaks) + 7) / 8,
	BOARD_BITMAP_WORDS = BOARD_PIDS / 64,
};

struct board_slot {
	board_word number; /* odd: being written; 0: never was */
	board_word word[BOARD_PROCESS_WORDS];
} __attribute__((aligned(64)));

struct board_cgroup_slot {
	board_word number;
	board_word word[BOARD_CGROUP_WORDS];
} __attribute__((aligned(1024))); /* on one page */

struct board_leak_slot {
	board_word number;
	board_word word[BOARD_LEAKS_WORDS];
} __attribute__((aligned(64)));

/* An entry is whole while its number is the one that is asked for. */
struct board_event_entry {
	board_word number;
	board_word kind_pid;
	board_word start_ticks;
};

struct board_news_entry {
	board_word number;
	board_word word[BOARD_NEWS_WORDS];
};

struct board_memory {
	uint64_t magic;
	uint64_t layout;
	board_word event_last; /* number of the newest event, from 1; 0 before the first */
	board_word news_last;
	_Atomic uint32_t news_futex; /* low half of news_last */
	board_word health_number, system_number, settings_number;
	board_word health[BOARD_HEALTH_WORDS];
	board_word system[BOARD_SYSTEM_WORDS];
	board_word settings[BOARD_SETTINGS_WORDS];
	board_word note_number[N_NOTES], firing_number;
	board_word note[N_NOTES][BOARD_NOTE_WORDS];
	board_word firing[BOARD_FIRING_WORDS];
	board_word live[BOARD_BITMAP_WORDS];
	struct board_event_entry event[BOARD_RING];
	struct board_news_entry news[BOARD_NEWS];
	board_word cgroup_slots; /* that were ever used */
	struct board_cgroup_slot cgroup[BOARD_CGROUPS];
	board_word leak_slots; /* that were ever used */
	struct board_leak_slot leak[BOARD_LEAKS];
	_Alignas(4096) struct board_slot slot[BOARD_PIDS];
};

struct board {
	struct board_memory *memory;
	uint64_t cleared[BOARD_BITMAP_WORDS /
			 64]; /* of the writer: words of live with an end since the last trim */
};

_Static_assert((BOARD_RING & (BOARD_RING - 1)) == 0 && (BOARD_NEWS & (BOARD_NEWS - 1)) == 0,
	"rings are powers of two");
_Static_assert(sizeof(struct board_slot) <= 384, "six cache lines a process");

/* Writer: words[0..n) = the bytes of `from`, whose last word may be cut short. */
static inline void board_words_store(board_word *words, const void *from, size_t size)
{
	const char *bytes = from;
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = 0;
		memcpy(&word, bytes + at, size - at < 8 ? size - at : 8);
		atomic_store_explicit(&words[at / 8], word, memory_order_release);
	}
}

static inline void board_words_load(void *to, const board_word *words, size_t size)
{
	char *bytes = to;
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_acquire);
		memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
	}
}

/* The odd number of a new write; of one that a dead writer left odd as well. */
static inline uint64_t board_write_begin(board_word *number)
{
	uint64_t odd = (atomic_load_explicit(number, memory_order_relaxed) + 1) | 1;
	atomic_store_explicit(number, odd, memory_order_relaxed);
	return odd;
}

static inline void board_write_end(board_word *number, uint64_t odd)
{
	atomic_store_explicit(number, odd + 1, memory_order_release);
}

/* One record, whole. BOARD_ABSENT where it was never written, BOARD_BUSY where its writer does not come to an
 * end. */
enum board_outcome board_record_load(
	void *to, const board_word *number, const board_word *words, size_t size);
