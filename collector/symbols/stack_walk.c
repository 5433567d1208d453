/* SPDX-License-Identifier: MIT */
#include "collector/symbols/stack_walk.h"

#include <elf.h>
#include <string.h>

#include "collector/symbols/inner.h"

/* DWARF numbers. Both machines push the return address above the caller's frame pointer. */
struct machine {
	unsigned sp, fp, pc;
};
static const struct machine x86_64 = { 7, 6, 16 }, aarch64 = { 31, 29, 32 };

static bool read_pair(const struct stack_copy *copy, uint64_t sp, uint64_t address, uint64_t ret[static 2])
{
	uint64_t offset = address - sp;

	if (address % sizeof(uint64_t) || offset > copy->n || copy->n - offset < 2 * sizeof(uint64_t))
		return false;
	memcpy(ret, copy->bytes + offset, 2 * sizeof(uint64_t));
	return true;
}

void stack_walk(const struct module_table *table, const struct stack_copy *copy, struct stack *ret)
{
	const struct module_segment *segment = module_table_find(table, copy->registers[x86_64.pc]);
	const struct machine *machine =
		segment && module_file_of(segment->module)->machine == EM_X86_64 ? &x86_64 : &aarch64;
	uint64_t sp = copy->registers[machine->sp], fp = copy->registers[machine->fp], pair[2];
	uint64_t pc = copy->registers[machine->pc];

	ret->n = 0;
	ret->cut = false;
	while (ret->n < STACK_FRAMES_MAX && module_table_find(table, pc - 1)) {
		ret->place[ret->n++] = module_table_place(table, pc);
		if (!fp)
			return;
		if (!read_pair(copy, sp, fp, pair) || (pair[0] && pair[0] <= fp))
			break;
		fp = pair[0];
		pc = pair[1];
	}
	ret->cut = true;
}
