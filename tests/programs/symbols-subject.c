/* SPDX-License-Identifier: MIT */
/*
 * Says where it is, to compare with what is found out about it: a line `ADDRESS FUNCTION LINE INLINED-INTO` a
 * place, then `.`, and stays until its input ends. With a library as argument the places of that follow;
 * `stack` writes a struct subject_stack instead. A library itself with -DLIBRARY.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "symbols-subject.h"

#define NOINLINE __attribute__((noinline))
#define INLINE   static inline __attribute__((always_inline))

/* Tells the place that called. The barrier keeps the call from being the caller's last act. */
NOINLINE void tell(const char *function, int line, const char *into)
{
	printf("%p %s %d %s\n", __builtin_return_address(0), function, line, into);
}
#define TELL(into)                                                                                           \
	do {                                                                                                 \
		tell(__func__, __LINE__, into);                                                              \
		__asm__ volatile("" ::: "memory");                                                           \
	} while (0)

INLINE void innermost(const char *into)
{
	TELL(into);
}

INLINE void between(const char *into)
{
	innermost(into);
}

#ifdef LIBRARY
NOINLINE void library_function(void)
{
	TELL("-");
	between("library_function");
}
#else
static NOINLINE void hidden_function(void)
{
	TELL("-");
}

NOINLINE void outer_function(void)
{
	TELL("-");
	between("outer_function");
	hidden_function();
}

NOINLINE void capture(void)
{
	static struct subject_stack stack;
	static ucontext_t context;
	uintptr_t top;
	pthread_attr_t attributes;
	void *begin;
	size_t size;

	stack.n_frames = (uint32_t)backtrace(stack.frame, SUBJECT_FRAMES);
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &begin, &size);
	top = (uintptr_t)begin + size;
	getcontext(&context);
#if defined(__x86_64__)
	static const int gregs[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };
	for (int i = 0; i < 17; i++)
		stack.registers[i] = (uint64_t)context.uc_mcontext.gregs[gregs[i]];
	uintptr_t sp = stack.registers[7];
#else
	memcpy(stack.registers, context.uc_mcontext.regs, 31 * 8);
	stack.registers[31] = context.uc_mcontext.sp;
	stack.registers[32] = context.uc_mcontext.pc;
	uintptr_t sp = stack.registers[31];
#endif
	stack.n = (uint32_t)(top - sp < sizeof(stack.bytes) ? top - sp : sizeof(stack.bytes));
	memcpy(stack.bytes, (void *)sp, stack.n);
	fwrite(&stack, sizeof(stack), 1, stdout);
}

NOINLINE void descend(volatile int depth)
{
	if (depth)
		descend(depth - 1);
	else
		capture();
	__asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "stack")) {
		descend(argc > 2 ? 1000 : 12);
	} else {
		outer_function();
		if (argc > 1) {
			void *library = dlopen(argv[1], RTLD_NOW);
			void (*function)(void) =
				library ? (void (*)(void))dlsym(library, "library_function") : NULL;
			if (!function)
				return 1;
			function();
		}
		puts(".");
	}
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}
#endif
