/* SPDX-License-Identifier: MIT */
/* Cases of C; leaks/truth.h says what a case is. */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "loaded.h"
#include "preload/memfs.h"
#include "truth.h"

static void *make(size_t size)
{
	void *block = touch(malloc(size));

	check(block != NULL, "malloc");
	memset(block, 1, size);
	return block;
}

static void plain(void)
{
	LEAK(make(100), 100);
	free(make(100));
	LEAK(make(1), 1);
}

static void zero(void)
{
	LEAK(touch(malloc(0)), 0);
	free(touch(malloc(0)));
	free(NULL);
}

/* Where one slot ends and the next begins. */
static void neighbours(void)
{
	for (size_t size = 0; size < 130; size++) {
		LEAK(make(size), size);
		free(make(size));
	}
}

/* Around the size that has its place in a slot, the threshold of mmap, and beyond. */
static void large(void)
{
	static const size_t sizes[] = { 131071, 131072, 262142, 262143, 262144, 1 << 20, 200 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		LEAK(touch(malloc(sizes[i])), sizes[i]);
		free(touch(malloc(sizes[i])));
	}
}

static void calloc_plain(void)
{
	LEAK(touch(calloc(7, 11)), 77);
	free(touch(calloc(100, 100)));
	check(!touch(calloc(SIZE_MAX / 2, 3)) && errno == ENOMEM, "calloc refuses an overflow");
}

static void realloc_chain(void)
{
	char *block = NULL;

	for (size_t size = 1; size < 1 << 20; size = size * 3 + 1)
		block = touch(realloc(block, size));
	block = touch(realloc(block, 333));
	LEAK(block, 333);
}

static void realloc_freed(void)
{
	check(!touch(realloc(make(10), 0)), "realloc to 0 frees");
}

static void realloc_refused(void)
{
	char *block = make(50);

	check(!touch(realloc(block, PTRDIFF_MAX)) && errno == ENOMEM, "realloc refuses");
	LEAK(block, 50);
	block = make(60);
	check(!touch(realloc(block, PTRDIFF_MAX)), "realloc refuses");
	free(block);
}

static void reallocarray_plain(void)
{
	void *block = touch(reallocarray(NULL, 3, 5));

	check(!touch(reallocarray(block, SIZE_MAX, 2)) && errno == ENOMEM,
		"reallocarray refuses an overflow");
	LEAK(touch(reallocarray(block, 30, 5)), 150);
	free(touch(reallocarray(NULL, 3, 5)));
}

/* By mremap, which moves a block of its own mapping. */
static void realloc_mapped(void)
{
	char *block = make(1 << 20);

	for (unsigned i = 1; i <= 16; i++)
		block = touch(realloc(block, (size_t)i << 20));
	LEAK(block, 16 << 20);
	block = touch(realloc(make(1 << 20), 10));
	LEAK(block, 10);
}

static void aligned(void)
{
	void *block = NULL;

	LEAK(touch(memalign(64, 10)), 10);
	free(touch(memalign(4096, 10)));
	LEAK(touch(aligned_alloc(32, 64)), 64);
	free(touch(aligned_alloc(32, 64)));
	check(!posix_memalign(&block, 256, 1000), "posix_memalign");
	LEAK(block, 1000);
	check(!posix_memalign(&block, 256, 1000), "posix_memalign");
	free(block);
	check(posix_memalign(&block, 3, 10) == EINVAL, "posix_memalign refuses an odd alignment");
}

static void pages(void)
{
	LEAK(touch(valloc(10)), 10);
	free(touch(valloc(10)));
	LEAK(touch(pvalloc(10)), 10);
	free(touch(pvalloc(10)));
}

static void strings(void)
{
	char *text = NULL;

	leak_of(touch(strdup("seventeen letters")), 18, LIBC);
	free(touch(strdup("freed")));
	leak_of(touch(strndup("abcdef", 3)), 4, LIBC);
	check(asprintf(&text, "%d bottles", 99) == 10, "asprintf");
	free(text);
}

static void lines(void)
{
	char *line = NULL;
	size_t room = 0;
	FILE *file = fopen("/proc/self/maps", "r");

	while (getline(&line, &room, file) > 0)
		;
	fclose(file);
	leak_of(line, room, LIBC);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* qsort takes memory for itself. */
static void sorted(void)
{
	int *numbers = make(1 << 20);

	for (unsigned i = 0; i < (1 << 20) / sizeof(int); i++)
		numbers[i] = rand();
	qsort(numbers, (1 << 20) / sizeof(int), sizeof(int), compare);
	LEAK(numbers, 1 << 20);
}

static void many(void)
{
	enum { BLOCKS = 100000 };
	void **blocks = make(BLOCKS * sizeof(void *));

	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = make(i % 300);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (i % 1000)
			free(blocks[i]);
		else
			LEAK(blocks[i], i % 300);
	free(blocks);
}

struct node {
	struct node *next;
	char payload[40];
};

static void list(void)
{
	struct node *head = NULL, *node;

	for (unsigned i = 0; i < 100; i++) {
		node = make(sizeof(*node));
		node->next = head;
		head = node;
	}
	for (unsigned i = 0; i < 50; i++) {
		node = head->next;
		free(head);
		head = node;
	}
	for (; head; head = head->next)
		LEAK(head, sizeof(*head));
}

static void reused(void)
{
	void *last = NULL;

	for (unsigned i = 0; i < 1000; i++)
		free(last = make(48));
	last = make(48);
	LEAK(last, 48);
}

/* A pool hands out parts of a block: the block is what there is. */
static void pool(void)
{
	char *block = make(1 << 16), *next = block;

	for (unsigned i = 0; i < 100; i++, next += 64)
		memset(next, (int)i, 64);
	LEAK(block, 1 << 16);
}

static void *thread_leaks(void *arg)
{
	for (unsigned i = 0; i < 100; i++) {
		LEAK(make(100 + i), 100 + i);
		free(make(100 + i));
	}
	return arg;
}

static void threads(void)
{
	pthread_t thread[4];

	for (unsigned i = 0; i < 4; i++)
		check(!pthread_create(&thread[i], NULL, thread_leaks, NULL), "pthread_create");
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

enum { PASSED = 20000 };
static void *_Atomic passed[PASSED];

static void *thread_frees(void *arg)
{
	for (unsigned i = 0; i < PASSED; i++) {
		void *block;

		while (!(block = passed[i]))
			;
		if (i % 500)
			free(block);
		else
			LEAK(block, i % 200);
	}
	return arg;
}

static void passed_on(void)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, thread_frees, NULL), "pthread_create");
	for (unsigned i = 0; i < PASSED; i++)
		passed[i] = make(i % 200);
	pthread_join(thread, NULL);
}

static void destroy(void *block)
{
	free(block);
	free(make(70));
}

static void *thread_with_key(void *arg)
{
	pthread_setspecific(*(pthread_key_t *)arg, make(80));
	return NULL;
}

/* Destructors run when much of a thread is gone. */
static void keys(void)
{
	pthread_key_t key;
	pthread_t thread;

	check(!pthread_key_create(&key, destroy), "pthread_key_create");
	for (unsigned i = 0; i < 20; i++) {
		check(!pthread_create(&thread, NULL, thread_with_key, &key), "pthread_create");
		pthread_join(thread, NULL);
	}
}

static void forked(void)
{
	void *before = make(90);
	int status;
	pid_t pid = fork();

	if (!pid) {
		make(1000);
		free(before);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	LEAK(before, 90);
	LEAK(make(91), 91);
}

static void vforked(void)
{
	int status;
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	LEAK(make(92), 92);
}

static void spawned(void)
{
	check(!system("exit 0"), "system");
	LEAK(make(93), 93);
}

static jmp_buf far;

static void jump(void)
{
	LEAK(make(94), 94);
	longjmp(far, 1);
}

static void jumped(void)
{
	void *volatile block = make(95);

	if (!setjmp(far))
		jump();
	free(block);
}

static void handle(int number)
{
	LEAK(make(96), 96);
	free(make(96));
}

static void signals(void)
{
	signal(SIGUSR1, handle);
	raise(SIGUSR1);
	raise(SIGUSR1);
}

/* Blocks are asked for on stacks that are not the thread's. */
static ucontext_t here, there;

static void on_a_stack_of_its_own(void)
{
	LEAK(make(200), 200);
	free(make(200));
}

static void contexts(void)
{
	char *stack = make(1 << 16);

	check(!getcontext(&there), "getcontext");
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = 1 << 16;
	there.uc_link = &here;
	makecontext(&there, on_a_stack_of_its_own, 0);
	check(!swapcontext(&here, &there), "swapcontext");
	free(stack);
}

static void alternate_stack(void)
{
	stack_t stack = { .ss_sp = make(1 << 16), .ss_size = 1 << 16 };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };

	check(!sigaltstack(&stack, NULL), "sigaltstack");
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	LEAK(stack.ss_sp, 1 << 16);
}

static void memory_stream(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	check(stream != NULL, "open_memstream");
	for (unsigned i = 0; i < 10000; i++)
		fputs("line\n", stream);
	fclose(stream);
	check(len == 50000, "what was written");
	free(text);
}

static int by_address(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

/* The C library's nodes, each of which is its own first word's key. */
static void tree(void)
{
	static const char keys[20];
	void *root = NULL;

	for (unsigned i = 0; i < 20; i++)
		check(tsearch(&keys[i], &root, by_address) != NULL, "tsearch");
	for (unsigned i = 0; i < 20; i++)
		check(tdelete(&keys[i], &root, by_address) != NULL, "tdelete");
	leak_of(tsearch(&keys[0], &root, by_address), 24, LIBC);
}

static void directory(void)
{
	struct dirent **names;
	int n = scandir("/proc/self", &names, NULL, alphasort);

	check(n > 10, "scandir");
	while (n--)
		free(names[n]);
	free(names);
}

static void *made_early;

__attribute__((constructor)) static void early(void)
{
	made_early = malloc(123);
}

/* Made before main, and before the shim's own constructor, or after. */
static void constructed(void)
{
	LEAK(made_early, 123);
	made_early = NULL;
}

static void late(void)
{
	LEAK(make(97), 97);
	free(make(97));
}

static void at_exit(void)
{
	check(!atexit(late), "atexit");
}

static void killed(void)
{
	LEAK(make(98), 98);
	kill(getpid(), SIGKILL);
}

static void aborted(void)
{
	LEAK(make(99), 99);
	abort();
}

static void kept(void)
{
	void *block = memfs_keep(make(10));

	leak_of(touch(realloc(block, 4000)), 4000, "kept");
	check(memfs_is_traced(), "is traced");
}

static void named(void)
{
	leak_of(memfs_name(make(10), "session"), 10, "name:session");
	leak_of(memfs_name(make(11), "route table"), 11, "name:route_table");
	leak_of(memfs_name(make(12), "session"), 12, "name:session");
	free(memfs_name(make(13), "gone"));
}

/* Off, on for a while, and what was made then is followed. */
static void region_of_code(void)
{
	void *before = make(20), *freed_later, *within;

	check(!memfs_is_traced(), "is not traced");
	memfs_trace_begin();
	memfs_trace_begin();
	within = make(21);
	freed_later = make(22);
	memfs_trace_end();
	check(memfs_is_traced(), "is traced");
	memfs_trace_end();
	check(!memfs_is_traced(), "is not traced");
	make(23);
	free(freed_later);
	free(before);
	LEAK(within, 21);
	memfs_trace_begin();
	LEAK(make(24), 24);
	memfs_trace_end();
}

#define CASE(name)                                                                                           \
	{                                                                                                    \
#name, name                                                                                  \
	}

int main(int argc, char **argv)
{
	static const struct truth cases[] = { CASE(plain), CASE(zero), CASE(neighbours), CASE(large),
		CASE(calloc_plain), CASE(realloc_chain), CASE(realloc_freed), CASE(realloc_refused),
		CASE(reallocarray_plain), CASE(realloc_mapped), CASE(aligned), CASE(pages), CASE(strings),
		CASE(lines), CASE(sorted), CASE(many), CASE(list), CASE(reused), CASE(pool), CASE(threads),
		CASE(passed_on), CASE(keys), CASE(forked), CASE(vforked), CASE(spawned), CASE(jumped),
		CASE(signals), CASE(plugin), CASE(namespace_of_its_own), CASE(plugin_gone),
		CASE(plugin_again), CASE(plugin_of_cxx), CASE(contexts), CASE(alternate_stack),
		CASE(memory_stream), CASE(tree), CASE(directory), CASE(constructed), CASE(at_exit),
		CASE(killed), CASE(aborted), CASE(kept), CASE(named), CASE(region_of_code) };

	if (argc == 2 && strcmp(argv[1], "constructed") != 0)
		free(made_early);
	return truth_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
