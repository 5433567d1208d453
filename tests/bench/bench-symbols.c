/* SPDX-License-Identifier: MIT */
/*
 * Names, lines and inlined functions of 10,000 places of one program with debug information (MEMFS, or the
 * program given), all different: by a child that was just started, from memory, and by addr2line(1) of
 * binutils and of elfutils, where they are installed. Then copies of this program's own stack, unwound.
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "collector/symbols/symbols.h"
#include "schema/base/cleanup.h"
#include "schema/proc/root.h"
#include "tests/bench/bench.h"

enum { PLACES = 10000, STACKS = 1000, STACK_BYTES = 8192, ROUNDS = 7, NOBODY = 65534 };

struct bench {
	const char *program, *child;
	char addresses[64];
	struct module_place place[PLACES];
	struct symbol *symbol[PLACES];
	struct module_table table;
};

/* Time that passed, and processor time of children that ended, milliseconds. */
struct spent {
	double ms, cpu_ms;
};

static double ms_of(struct timeval time)
{
	return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static struct spent now(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (struct spent) { (double)clock_monotonic_ns() / 1e6,
		ms_of(usage.ru_utime) + ms_of(usage.ru_stime) };
}

static struct spent since(int who, struct spent begin)
{
	struct spent end = now(who);
	return (struct spent) { end.ms - begin.ms, end.cpu_ms - begin.cpu_ms };
}

static int64_t in_a_minute(void)
{
	return clock_monotonic_ns() + INT64_C(60000000000);
}

static int read_self(struct symbols *symbols, struct module_table *table)
{
	struct proc_root root;
	int dir, r = proc_root_init(&root, "/");

	if (r)
		return r;
	r = proc_open_pid(&root, (uint32_t)getpid(), &dir);
	if (!r) {
		r = module_table_read(symbols, dir, in_a_minute(), table);
		close(dir);
	}
	proc_root_deinit(&root);
	return r;
}

/* Maps the code of the program, so that it is in our table; places are spread over it. */
static int choose_places(struct bench *bench)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	CLEANUP_CLOSE int fd = open(bench->program, O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int out = mkstemp(bench->addresses);

	if (fd < 0 || out < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -EIO;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), (off_t)(head.e_phoff + i * sizeof(segment))) !=
			sizeof(segment))
			return -EIO;
		if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X))
			continue;
		size_t page = (size_t)sysconf(_SC_PAGESIZE), before = segment.p_offset % page;
		if (mmap(NULL, segment.p_filesz + before, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
			    (off_t)(segment.p_offset - before)) == MAP_FAILED)
			return -errno;
		for (size_t k = 0; k < PLACES; k++) {
			bench->place[k].address = segment.p_vaddr + segment.p_filesz / PLACES * k;
			dprintf(out, "0x%lx\n", (unsigned long)bench->place[k].address);
		}
		return 0;
	}
	return -ENOEXEC;
}

static int set_module(struct bench *bench, struct symbols *symbols)
{
	struct stat st, other;
	int r = read_self(symbols, &bench->table);

	if (r || stat(bench->program, &st))
		return r ? r : -errno;
	for (size_t i = 0; i < bench->table.n; i++) {
		struct module *module = bench->table.segment[i].module;
		if (stat(module->path, &other) || other.st_ino != st.st_ino || other.st_dev != st.st_dev)
			continue;
		for (size_t k = 0; k < PLACES; k++)
			bench->place[k].module = module;
		return 0;
	}
	return -ENOENT;
}

static size_t resolve(struct bench *bench, struct symbols *symbols)
{
	size_t frames = 0;

	symbols_resolve(symbols, bench->place, PLACES, in_a_minute(), bench->symbol);
	for (size_t i = 0; i < PLACES; i++) {
		frames += bench->symbol[i] ? bench->symbol[i]->n : 0;
		symbol_unref(bench->symbol[i]);
	}
	return frames;
}

static struct spent run_tool(const struct bench *bench, const char *tool, bool *ret_there)
{
	char command[512];

	snprintf(command, sizeof(command), "%s -a -f -i -C -e '%s' <%s >/dev/null 2>&1", tool, bench->program,
		bench->addresses);
	struct spent begin = now(RUSAGE_CHILDREN);
	*ret_there = system(command) == 0;
	return since(RUSAGE_CHILDREN, begin);
}

static int copy_own_stack(struct stack_copy *copy, uint8_t *bytes)
{
#if defined(__x86_64__)
	static const int gregs[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };
	ucontext_t context;

	getcontext(&context);
	for (size_t i = 0; i < sizeof(gregs) / sizeof(*gregs); i++)
		copy->registers[i] = (uint64_t)context.uc_mcontext.gregs[gregs[i]];
	pthread_attr_t attributes;
	void *begin;
	size_t size;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &begin, &size);
	pthread_attr_destroy(&attributes);
	copy->n = (size_t)((uintptr_t)begin + size - copy->registers[7]);
	if (copy->n > STACK_BYTES)
		copy->n = STACK_BYTES;
	memcpy(bytes, (void *)(uintptr_t)copy->registers[7], copy->n);
	copy->bytes = bytes;
	return 0;
#else
	return -ENOSYS;
#endif
}

__attribute__((noinline)) static int copy_deep(struct stack_copy *copy, uint8_t *bytes, volatile int depth)
{
	int r = depth ? copy_deep(copy, bytes, depth - 1) : copy_own_stack(copy, bytes);
	__asm__ volatile("" ::: "memory");
	return r;
}

static void bench_stacks(struct bench *bench, struct symbols *symbols)
{
	static uint8_t bytes[STACK_BYTES];
	struct stack_copy one = { 0 };
	CLEANUP_FREE struct stack_copy *copy = calloc(STACKS, sizeof(*copy));
	CLEANUP_FREE struct stack *stack = calloc(STACKS, sizeof(*stack));

	if (!copy || !stack || copy_deep(&one, bytes, 10))
		return;
	for (size_t i = 0; i < STACKS; i++)
		copy[i] = one;
	for (int round = 0; round < 3; round++) {
		int64_t begin = clock_monotonic_ns();
		symbols_unwind(symbols, &bench->table, copy, STACKS, in_a_minute(), stack);
		double us = (double)(clock_monotonic_ns() - begin) / 1e3 / STACKS;
		printf("%-34s %8.1f us a stack of %u frames\n",
			round ? "unwind, again" : "unwind, tables read", us, stack[0].n);
	}
}

static void print(const char *what, const double *ms, const double *cpu_ms, const double *base_ms, unsigned n)
{
	struct bench_stat wall = bench_stat(ms, n), cpu = bench_stat(cpu_ms, n),
			  ratio = bench_ratio(ms, base_ms, n);

	printf("%-34s %8.1f ms  cpu %8.1f ms  %7.4f of addr2line (%.4f to %.4f)\n", what, wall.median,
		cpu.median, ratio.median, ratio.min, ratio.max);
}

int main(int argc, char **argv)
{
	enum { COLD, WARM, ADDR2LINE, EU_ADDR2LINE, N_WAYS };
	static const char *const what[N_WAYS] = { "child just started", "from memory", "addr2line -afiC",
		"eu-addr2line -afiC" };
	static struct bench bench = { .addresses = "/tmp/memfs-bench-XXXXXX" };
	double ms[N_WAYS][ROUNDS], cpu_ms[N_WAYS][ROUNDS];
	bool there[N_WAYS] = { true, true, false, false };
	unsigned rounds = argc > 1 && !strcmp(argv[argc - 1], "--quick") ? BENCH_ROUNDS_QUICK : ROUNDS;
	size_t frames = 0;

	bench.program = argc > 1 && argv[1][0] != '-' ? argv[1] : getenv("MEMFS");
	const struct symbols_options options = {
		.program = getenv("MEMFS_SYMBOLS"), .uid = NOBODY, .gid = NOBODY
	};
	if (!bench.program || choose_places(&bench)) {
		fprintf(stderr, "bench-symbols: no program to look into: give one, or MEMFS\n");
		return 1;
	}
	for (unsigned round = 0; round < rounds; round++) {
		struct symbols *symbols;
		if (symbols_new(&options, &symbols) || set_module(&bench, symbols)) {
			fprintf(stderr, "bench-symbols: %s cannot be looked into\n", bench.program);
			return 1;
		}
		struct spent begin = now(RUSAGE_CHILDREN), own = now(RUSAGE_SELF);
		frames = resolve(&bench, symbols);
		ms[COLD][round] = since(RUSAGE_CHILDREN, begin).ms;
		cpu_ms[COLD][round] = since(RUSAGE_SELF, own).cpu_ms;
		own = now(RUSAGE_SELF);
		resolve(&bench, symbols);
		struct spent warm = since(RUSAGE_SELF, own);
		ms[WARM][round] = warm.ms;
		cpu_ms[WARM][round] = warm.cpu_ms;
		if (round + 1 == rounds)
			bench_stacks(&bench, symbols);
		module_table_deinit(symbols, &bench.table);
		symbols_free(symbols);
		/* With its start and its end, which others pay as well. */
		cpu_ms[COLD][round] += since(RUSAGE_CHILDREN, begin).cpu_ms;
		for (int way = ADDR2LINE; way < N_WAYS; way++) {
			struct spent spent = run_tool(
				&bench, way == ADDR2LINE ? "addr2line" : "eu-addr2line", &there[way]);
			ms[way][round] = spent.ms;
			cpu_ms[way][round] = spent.cpu_ms;
		}
	}
	unlink(bench.addresses);
	printf("%d places of %s, %zu frames\n", PLACES, bench.program, frames);
	for (int way = 0; way < N_WAYS; way++)
		if (there[way])
			print(what[way], ms[way], cpu_ms[way], ms[ADDR2LINE], rounds);
	return 0;
}
