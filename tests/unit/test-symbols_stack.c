/* SPDX-License-Identifier: MIT */
/* Copies of stacks, against what backtrace(3) said in the process itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "collector/symbols/stack_walk.h"
#include "tests/programs/symbols-subject.h"
#include "tests/unit/symbols_world.h"

#define SOURCE "symbols-subject.c"

/* A program that stands still, and its stack. */
struct standing {
	struct scratch scratch;
	struct subject subject;
	struct module_table table;
	struct subject_stack said;
	struct stack_copy copy;
};

static void stand(struct standing *standing, struct symbols *symbols, const char *make, const char *deep)
{
	memset(&standing->table, 0, sizeof(standing->table));
	assert_int_equal(scratch_make(&standing->scratch), 0);
	world_run(&standing->scratch, make);
	subject_start(&standing->subject, &standing->scratch, "a", "stack", deep);
	assert_int_equal(fread(&standing->said, sizeof(standing->said), 1, standing->subject.out), 1);
	assert_int_equal(
		module_table_read(symbols, standing->subject.dir, within_s(60), &standing->table), PROC_OK);
	memcpy(standing->copy.registers, standing->said.registers, sizeof(standing->copy.registers));
	standing->copy.bytes = standing->said.bytes;
	standing->copy.n = standing->said.n;
}

static void leave(struct standing *standing, struct symbols *symbols)
{
	subject_end(&standing->subject);
	module_table_deinit(symbols, &standing->table);
	scratch_remove(&standing->scratch);
}

/* Frame 0 is the function that took both, at two places in it. */
static void check_frames(const struct standing *standing, const struct stack *stack, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct module_place expected =
			module_table_place(&standing->table, (uint64_t)(uintptr_t)standing->said.frame[i]);
		assert_ptr_equal(stack->place[i].module, expected.module);
		assert_int_equal(stack->place[i].address, expected.address);
	}
}

static void check_names(struct symbols *symbols, const struct stack *stack)
{
	struct symbol *symbol[STACK_FRAMES_MAX];

	symbols_resolve(symbols, stack->place, stack->n, within_s(60), symbol);
	assert_string_equal(symbol[0]->frame[0].function, "capture");
	for (unsigned i = 1; i <= 13; i++)
		assert_string_equal(symbol[i]->frame[0].function, "descend");
	assert_string_equal(symbol[14]->frame[0].function, "main");
	for (unsigned i = 0; i < stack->n; i++)
		symbol_unref(symbol[i]);
}

static void stacks_are_those_of_backtrace(void **state)
{
	static const char *const kinds[] = {
		"gcc -g -O2 -fno-optimize-sibling-calls -o a $P/" SOURCE,
		"gcc -g -O0 -o a $P/" SOURCE,
		"gcc -O2 -no-pie -fno-optimize-sibling-calls -o a $P/" SOURCE,
		"gcc -O2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -o a $P/" SOURCE,
		"gcc -O1 -static -o a $P/" SOURCE " 2>/dev/null",
		"clang -O1 -o a $P/" SOURCE,
	};
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	static struct standing standing;
	static struct stack stack;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		print_message("%s\n", kinds[i]);
		stand(&standing, symbols, kinds[i], NULL);
		assert_true(standing.said.n_frames > 15);
		symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), &stack);
		assert_int_equal(stack.n, standing.said.n_frames);
		assert_false(stack.cut);
		check_frames(&standing, &stack, stack.n);
		check_names(symbols, &stack);
		leave(&standing, symbols);
	}
	symbols_free(symbols);
}

/* Code without tables has frame pointers, or nothing that could be known. */
static void frame_pointers_lead_through_code_without_tables(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	static struct standing standing;
	static struct stack stack;

	stand(&standing, symbols,
		"gcc -O1 -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-omit-frame-pointer"
		" -mno-omit-leaf-frame-pointer -o a $P/" SOURCE,
		NULL);
	symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), &stack);
	assert_true(stack.n >= 15);
	check_names(symbols, &stack);
	/* By themselves, without a child. */
	stack_walk(&standing.table, &standing.copy, &stack);
	assert_true(stack.n >= 15);
	check_names(symbols, &stack);
	leave(&standing, symbols);
	symbols_free(symbols);
}

static void what_goes_on_behind_the_copy_is_cut(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	static struct standing standing;
	static struct stack stack;

	stand(&standing, symbols, "gcc -g -O2 -fno-optimize-sibling-calls -o a $P/" SOURCE, "deep");
	symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), &stack);
	assert_int_equal(stack.n, STACK_FRAMES_MAX);
	assert_true(stack.cut);
	check_frames(&standing, &stack, SUBJECT_FRAMES);
	standing.copy.n = 512;
	symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), &stack);
	assert_in_range(stack.n, 3, 40);
	assert_true(stack.cut);
	check_frames(&standing, &stack, stack.n);
	standing.copy.n = 0;
	symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), &stack);
	assert_int_equal(stack.n, 1);
	leave(&standing, symbols);
	symbols_free(symbols);
}

/* Whatever a process writes there, the collector lives, and the stacks of others are right. */
static void lies_harm_nobody(void **state)
{
	enum { LIES = 300 };
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	static struct standing standing;
	static struct stack stack[LIES];
	static struct stack_copy copy[LIES];
	static uint8_t bytes[LIES][2048];
	uint64_t seed = 1;

	stand(&standing, symbols, "gcc -g -O2 -fno-optimize-sibling-calls -o a $P/" SOURCE, NULL);
	for (size_t i = 0; i < LIES; i++) {
		copy[i] = standing.copy;
		copy[i].bytes = bytes[i];
		copy[i].n = sizeof(bytes[i]) - i;
		memcpy(bytes[i], standing.said.bytes, sizeof(bytes[i]));
		for (size_t k = 0; k < 1 + i / 4; k++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			if (seed >> 62)
				bytes[i][(seed >> 20) % sizeof(bytes[i])] = (uint8_t)(seed >> 40);
			else
				copy[i].registers[(seed >> 20) % STACK_REGISTERS] ^= seed >> (seed % 64);
		}
	}
	symbols_unwind(symbols, &standing.table, copy, LIES, within_s(120), stack);
	for (size_t i = 0; i < LIES; i++)
		assert_in_range(stack[i].n, 0, STACK_FRAMES_MAX);
	symbols_unwind(symbols, &standing.table, &standing.copy, 1, within_s(60), stack);
	assert_int_equal(stack[0].n, standing.said.n_frames);
	check_frames(&standing, stack, stack[0].n);
	assert_int_equal(symbols_status(symbols).failed, 0);
	leave(&standing, symbols);
	symbols_free(symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks_are_those_of_backtrace),
		cmocka_unit_test(frame_pointers_lead_through_code_without_tables),
		cmocka_unit_test(what_goes_on_behind_the_copy_is_cut),
		cmocka_unit_test(lies_harm_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
