/* SPDX-License-Identifier: MIT */
#include "preload/stack.h"

#include <string.h>
#include <sys/auxv.h>

#include "preload/sample.h"
#include "preload/sys.h"

enum { NUMBER_BUSY = 1 };

struct machine {
	uint64_t registers[SHADOW_REGISTERS];
};

/*
 * What an unwinder needs to begin here: stack pointer, pc, and the registers that calls preserve, by their
 * DWARF numbers. Part of the caller, whose frame the stack pointer is then of.
 */
static inline __attribute__((always_inline)) uintptr_t machine_get(struct machine *ret_machine)
{
#if defined(__x86_64__)
	__asm__ volatile("movq %%rbx, 3*8(%0)\n\tmovq %%rbp, 6*8(%0)\n\tmovq %%rsp, 7*8(%0)\n\t"
			 "movq %%r12, 12*8(%0)\n\tmovq %%r13, 13*8(%0)\n\tmovq %%r14, 14*8(%0)\n\t"
			 "movq %%r15, 15*8(%0)\n\tleaq 0f(%%rip), %%rax\n0:\tmovq %%rax, 16*8(%0)"
			 :
			 : "r"(ret_machine->registers)
			 : "rax", "memory");
	return ret_machine->registers[7];
#elif defined(__aarch64__)
	__asm__ volatile(
		"stp x19, x20, [%0, #19*8]\n\tstp x21, x22, [%0, #21*8]\n\tstp x23, x24, [%0, #23*8]\n\t"
		"stp x25, x26, [%0, #25*8]\n\tstp x27, x28, [%0, #27*8]\n\tstp x29, x30, [%0, #29*8]\n\t"
		"mov x9, sp\n\tstr x9, [%0, #31*8]\n\tadr x9, 0f\n0:\tstr x9, [%0, #32*8]"
		:
		: "r"(ret_machine->registers)
		: "x9", "memory");
	return ret_machine->registers[31];
#else
#error "which registers does a call preserve on this machine?"
#endif
}

/* A free place of the ring, or NULL: the collector is behind. */
static struct shadow_stack *ring_take(void)
{
	struct shadow_stack *ring = (struct shadow_stack *)(shim.base + SHADOW_STACKS_AT);
	uint64_t at = atomic_fetch_add_explicit(&shim.header->stacks_next, 1, memory_order_relaxed);
	struct shadow_stack *stack = &ring[at % SHADOW_STACKS];
	uint64_t free = 0;

	return atomic_compare_exchange_strong_explicit(
		       &stack->number, &free, NUMBER_BUSY, memory_order_acquire, memory_order_relaxed)
		       ? stack
		       : NULL;
}

__attribute__((noinline)) void stack_copy(uint32_t sample, uint64_t number, const struct sampler *sampler)
{
	struct shadow_stack *stack = ring_take();
	struct machine machine = { 0 };
	uintptr_t sp;
	size_t len = 0;

	if (!stack) {
		atomic_fetch_add_explicit(&shim.header->stacks_dropped, 1, memory_order_relaxed);
		return;
	}
	sp = machine_get(&machine);
	if (sp >= sampler->stack_low && sp < sampler->stack_high)
		len = sampler->stack_high - sp < sizeof(stack->bytes) ? sampler->stack_high - sp
								      : sizeof(stack->bytes);
	memcpy(stack->registers, machine.registers, sizeof(stack->registers));
	memcpy(stack->bytes, (const void *)sp, len);
	stack->sample = sample;
	stack->len = (uint32_t)len;
	atomic_store_explicit(&stack->number, number, memory_order_release);
}

void stack_learn(uintptr_t low, uintptr_t high)
{
	uintptr_t thread = sample_self();
	struct sampler *sampler = sample_thread(thread);

	if (atomic_load_explicit(&sampler->thread, memory_order_relaxed) != thread)
		return; /* shared with others */
	sampler->stack_low = low;
	sampler->stack_high = high;
}

/* The kernel puts what auxv points to above the first frame. */
void stack_learn_first(void)
{
	uintptr_t high = getauxval(AT_RANDOM), here = (uintptr_t)__builtin_frame_address(0);
	uint64_t limit = sys_limit(RLIMIT_STACK);

	if (!high || here >= high || syscall(SYS_gettid) != syscall(SYS_getpid))
		return;
	/* Where it may grow for ever, others map nothing within so much below. */
	if (limit > 64 << 20)
		limit = 64 << 20;
	if (high - here < limit)
		stack_learn(high - limit, high);
}
