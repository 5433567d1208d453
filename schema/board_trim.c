/* SPDX-License-Identifier: MIT */
/* Memory of processes that are no more goes back: pids go up for weeks, and each had a slot of its own. */
#include <sys/mman.h>
#include <unistd.h>

#include "schema/board.h"
#include "schema/board_layout.h"

/* The slots of one word of the bitmap fill so many pages. */
enum { PAGE = 4096, WORD_SLOTS = 64, WORD_PAGES = WORD_SLOTS * sizeof(struct board_slot) / PAGE };
_Static_assert(WORD_SLOTS * sizeof(struct board_slot) % PAGE == 0, "no page has slots of two words");
_Static_assert(offsetof(struct board_memory, slot) % PAGE == 0, "the first slot begins a page");

/* The slots that a page has a part of. */
static uint64_t slots_on(size_t page)
{
	size_t first = page * PAGE / sizeof(struct board_slot);
	size_t last = ((page + 1) * PAGE - 1) / sizeof(struct board_slot);
	uint64_t up_to_last = last == WORD_SLOTS - 1 ? UINT64_MAX : (UINT64_C(1) << (last + 1)) - 1;

	return up_to_last & ~((UINT64_C(1) << first) - 1);
}

/* Neighbours go in one call: when a board is opened all of it may have been a predecessor's. */
struct run {
	char *begin, *end;
};

static void give_back(struct run *run)
{
	/* What fails keeps its memory, and nothing else. */
	if (run->end > run->begin)
		(void)madvise(run->begin, (size_t)(run->end - run->begin), MADV_REMOVE);
	*run = (struct run) { 0 };
}

static void add_page(struct run *run, char *page)
{
	if (page != run->end) {
		give_back(run);
		run->begin = page;
	}
	run->end = page + PAGE;
}

/* Pages of a word without a living process. */
static void trim_word(struct board_memory *memory, size_t word, struct run *run)
{
	uint64_t live = atomic_load_explicit(&memory->live[word], memory_order_relaxed);
	char *pages = (char *)&memory->slot[word * WORD_SLOTS];

	for (size_t page = 0; page < WORD_PAGES; page++)
		if (!(live & slots_on(page)))
			add_page(run, pages + page * PAGE);
}

void board_trim(struct board *board)
{
	struct run run = { 0 };

	if (sysconf(_SC_PAGESIZE) != PAGE)
		return;
	for (size_t i = 0; i < BOARD_BITMAP_WORDS / 64; i++) {
		for (uint64_t left = board->cleared[i]; left; left &= left - 1)
			trim_word(board->memory, i * 64 + (size_t)__builtin_ctzll(left), &run);
		board->cleared[i] = 0;
	}
	give_back(&run);
}
