/* SPDX-License-Identifier: MIT */
/*
 * allocate pairs|replace|larson|grow COUNT: what an allocator does all day, for bench-preload. Prints the
 * processor time of COUNT operations in nanoseconds, of all threads, without start and end.
 *
 *   pairs    a block is freed as soon as it is there
 *   replace  10,000 live blocks; each operation frees one and makes another
 *   larson   the same in two threads of 1,000 blocks each, which swap what they have fifty times: most
 *            blocks are freed by the thread that did not make them
 *   grow     COUNT blocks are made, then freed
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIVE = 10000, LARSON_LIVE = 1000, LARSON_SWAPS = 50, THREADS = 2 };

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int64_t processor_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A block is written to, as it would be. */
static void *make(size_t size)
{
	char *block = malloc(size);

	if (!block)
		abort();
	*(volatile char *)block = 1;
	return block;
}

static void pairs(uint64_t count)
{
	uint64_t state = 88172645463325252;

	for (uint64_t i = 0; i < count; i++)
		free(make(16 + next(&state) % 497));
}

static void replace(void **live, uint64_t slots, uint64_t count, uint64_t *state, size_t low, size_t span)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t random = next(state), at = (random >> 32) * slots >> 32;
		free(live[at]);
		live[at] = make(low + (random & 0xffff) % span);
	}
}

static void fill(void **live, uint64_t slots, uint64_t *state, size_t low, size_t span)
{
	for (uint64_t i = 0; i < slots; i++)
		live[i] = make(low + next(state) % span);
}

struct larson {
	pthread_barrier_t barrier;
	void **live[THREADS];
	uint64_t count; /* of one thread between two swaps */
};

struct larson_thread {
	struct larson *larson;
	unsigned number;
};

static void *larson_run(void *arg)
{
	struct larson_thread *own = arg;
	uint64_t state = 88172645463325252 + own->number;

	for (unsigned swap = 0; swap < LARSON_SWAPS; swap++) {
		replace(own->larson->live[(own->number + swap) % THREADS], LARSON_LIVE, own->larson->count,
			&state, 8, 993);
		pthread_barrier_wait(&own->larson->barrier);
	}
	return NULL;
}

static void larson(uint64_t count)
{
	struct larson larson = { .count = count / LARSON_SWAPS / THREADS };
	struct larson_thread own[THREADS];
	pthread_t thread[THREADS];
	uint64_t state = 1;

	pthread_barrier_init(&larson.barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		larson.live[i] = make(LARSON_LIVE * sizeof(void *));
		fill(larson.live[i], LARSON_LIVE, &state, 8, 993);
		own[i] = (struct larson_thread) { &larson, i };
		pthread_create(&thread[i], NULL, larson_run, &own[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void grow(uint64_t count)
{
	void **live = make(count * sizeof(*live));
	uint64_t state = 1;

	fill(live, count, &state, 16, 497);
	for (uint64_t i = 0; i < count; i++)
		free(live[i]);
	free(live);
}

int main(int argc, char **argv)
{
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, state = 1;
	static void *live[LIVE];
	int64_t begin;

	if (!count)
		return 2;
	pairs(1000);
	if (!strcmp(argv[1], "replace"))
		fill(live, LIVE, &state, 16, 497);
	begin = processor_ns();
	if (!strcmp(argv[1], "pairs"))
		pairs(count);
	else if (!strcmp(argv[1], "replace"))
		replace(live, LIVE, count, &state, 16, 497);
	else if (!strcmp(argv[1], "larson"))
		larson(count);
	else if (!strcmp(argv[1], "grow"))
		grow(count);
	else
		return 2;
	printf("%lld\n", (long long)(processor_ns() - begin));
	return 0;
}
