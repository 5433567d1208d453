/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/unwind.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/symbols/child/debug_file.h"

enum { THREAD = 1 }; /* any number: there is one */

/* DWARF numbers, from the psABI of each machine: registers that a call leaves as they are, and the pc. */
enum { X86_64_SP = 7, X86_64_PC = 16, AARCH64_SP = 31, AARCH64_PC = 32 };
struct block {
	int first;
	unsigned n;
};
static const struct block x86_64[] = { { 3, 1 }, { 6, 2 }, { 12, 5 }, { 0, 0 } };
static const struct block aarch64[] = { { 19, 13 }, { 0, 0 } };

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	bool first = !*thread_arg;

	*thread_arg = arg;
	return first ? THREAD : 0;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	*thread_arg = arg;
	return tid == THREAD;
}

/* A word of the copy, wherever it stands in it. */
static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *arg)
{
	struct space *space = arg;
	uint64_t offset =
		address - space->registers->value[space->machine == EM_X86_64 ? X86_64_SP : AARCH64_SP];

	if (offset > space->stack_n || space->stack_n - offset < sizeof(*result)) {
		space->missed = true;
		return false;
	}
	memcpy(result, space->stack + offset, sizeof(*result));
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct space *space = arg;
	const struct block *block = space->machine == EM_X86_64 ? x86_64 : aarch64;

	for (; block->n; block++)
		if (!dwfl_thread_state_registers(
			    thread, block->first, block->n, &space->registers->value[block->first]))
			return false;
	/* Of x86-64 it is a register like any other. */
	if (space->machine == EM_AARCH64)
		dwfl_thread_state_register_pc(thread, space->registers->value[AARCH64_PC]);
	return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = debug_file_no_elf,
	.find_debuginfo = debug_file_none, /* what unwinding takes is in the files that were mapped */
	.section_address = dwfl_offline_section_address,
};

static void report(
	struct space *space, const struct wire_module *module, const struct image *images, size_t n_images)
{
	const struct image *image = module->slot < n_images ? &images[module->slot] : NULL;
	char name[48];

	if (!image || (image->machine != EM_X86_64 && image->machine != EM_AARCH64))
		return;
	int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	snprintf(name, sizeof(name), "%" PRIu64 ":%" PRIx64, module->slot, module->bias);
	if (!dwfl_report_elf(space->dwfl, name, "", fd, module->bias, true))
		close(fd);
	else if (!space->machine)
		space->machine = image->machine;
}

void space_init(struct space *space, const struct wire_module *module, size_t n, const struct image *images,
	size_t n_images)
{
	*space = (struct space) { .dwfl = dwfl_begin(&callbacks) };
	if (!space->dwfl)
		return;
	dwfl_report_begin(space->dwfl);
	for (size_t i = 0; i < n; i++)
		report(space, &module[i], images, n_images);
	if (dwfl_report_end(space->dwfl, NULL, NULL) ||
		!dwfl_attach_state(space->dwfl, NULL, THREAD, &thread_callbacks, space))
		space_deinit(space);
}

void space_deinit(struct space *space)
{
	if (space->dwfl)
		dwfl_end(space->dwfl);
	*space = (struct space) { 0 };
}

static int put_frame(Dwfl_Frame *frame, void *arg)
{
	struct space *space = arg;
	Dwarf_Addr pc;
	bool activation;

	if (space->n == WIRE_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, &activation))
		return DWARF_CB_ABORT;
	if (!pc)
		return DWARF_CB_ABORT;
	/* The first is where the copy was taken, or where its taker returns to: one byte less is right for
	 * both. */
	space->address[space->n] = activation && space->n ? pc : pc - 1;
	space->n++;
	return DWARF_CB_OK;
}

unsigned space_unwind(struct space *space, const struct wire_registers *registers, const uint8_t *stack,
	size_t stack_n, uint64_t ret_address[static WIRE_FRAMES_MAX], bool *ret_cut)
{
	*ret_cut = true;
	if (!space->dwfl)
		return 0;
	space->registers = registers;
	space->stack = stack;
	space->stack_n = stack_n;
	space->address = ret_address;
	space->n = 0;
	space->missed = false;
	/* What could not be read ends it as if there were nothing more. */
	*ret_cut = dwfl_getthread_frames(space->dwfl, THREAD, put_frame, space) != 0 || space->missed;
	return space->n;
}
