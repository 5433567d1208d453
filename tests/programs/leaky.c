/* SPDX-License-Identifier: MIT */
/*
 * Allocates and frees as it is told, a line an order, and says a line when it is done:
 *   leak N SIZE, leak_more N SIZE    N blocks more, by a function of that name
 *   wrapped_a N SIZE, wrapped_b      the same, by functions that ask a third one, grab, for the blocks
 *   free N                           the first N of the blocks that `leak` made and that live
 *   scribble SEED                    over the shadow region that it has mapped
 *   exit                             ends
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 1 << 21 };
static void *block[BLOCKS]; /* not on the heap */
static size_t first, last;

__attribute__((noinline)) static void leak(size_t n, size_t size)
{
	for (; n && last < BLOCKS; n--) {
		block[last] = malloc(size);
		memset(block[last++], 1, size);
	}
}

__attribute__((noinline)) static void leak_more(size_t n, size_t size)
{
	static void *volatile lost;

	for (; n; n--) {
		lost = malloc(size);
		memset(lost, 1, size);
	}
}

__attribute__((noinline)) static void *grab(size_t size)
{
	void *made = malloc(size);
	memset(made, 1, size);
	return made;
}

static void *volatile grabbed;

__attribute__((noinline)) static void wrapped_a(size_t n, size_t size)
{
	for (; n; n--)
		grabbed = grab(size);
}

__attribute__((noinline)) static void wrapped_b(size_t n, size_t size)
{
	for (; n; n--)
		grabbed = grab(size);
}

/* Whatever a hostile process may write, where the collector reads. */
static void scribble(unsigned seed)
{
	char line[512];
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "memfs-shadow") || !strstr(line, "rw") ||
			sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		uint64_t *words = (uint64_t *)start;
		size_t n = (end - start) / 8;
		srandom(seed);
		/* The tables in front are small; slots are anywhere. The header's first page last, and not
		 * each time. */
		for (size_t i = 0; i < 20000; i++) {
			size_t at = (size_t)random() % (i % 2 ? 0x2000000 / 8 : n);
			if (at >= 512 || seed % 2)
				words[at < n ? at : n - 1] = (uint64_t)random() << 33 ^ (uint64_t)random();
		}
	}
	if (maps)
		fclose(maps);
}

int main(void)
{
	char line[128], word[32];

	while (fgets(line, sizeof(line), stdin)) {
		size_t n = 0, size = 0;
		if (sscanf(line, "%31s %zu %zu", word, &n, &size) < 1)
			continue;
		if (!strcmp(word, "leak"))
			leak(n, size);
		else if (!strcmp(word, "leak_more"))
			leak_more(n, size);
		else if (!strcmp(word, "wrapped_a"))
			wrapped_a(n, size);
		else if (!strcmp(word, "wrapped_b"))
			wrapped_b(n, size);
		else if (!strcmp(word, "scribble"))
			scribble((unsigned)n);
		else if (!strcmp(word, "exit"))
			return 0;
		for (; !strcmp(word, "free") && n && first < last; n--)
			free(block[first++]);
		puts(word);
		fflush(stdout);
	}
	return 0;
}
