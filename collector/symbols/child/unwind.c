/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/unwind.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/symbols/child/debug_file.h"

enum { THREAD = 1 }; /* any number: there is one */

/* DWARF numbers of registers, from the psABI of each machine. */
enum { X86_64_RBP = 6, X86_64_RSP = 7, X86_64_RIP = 16, AARCH64_FP = 29, AARCH64_LR = 30, AARCH64_SP = 31 };

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
	const struct space *space = arg;
	uint64_t offset = address - space->registers.sp;

	if (offset > space->stack_n || space->stack_n - offset < sizeof(*result))
		return false;
	memcpy(result, space->stack + offset, sizeof(*result));
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct space *space = arg;
	const struct wire_registers *from = &space->registers;

	if (space->machine == EM_X86_64) {
		const Dwarf_Word pair[] = { from->fp, from->sp };
		return dwfl_thread_state_registers(thread, X86_64_RBP, 2, pair) &&
		       dwfl_thread_state_registers(thread, X86_64_RIP, 1, &from->pc);
	}
	const Dwarf_Word three[] = { from->fp, from->lr, from->sp };
	if (!dwfl_thread_state_registers(thread, AARCH64_FP, 3, three))
		return false;
	dwfl_thread_state_register_pc(thread, from->pc);
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

/* Whether an earlier segment has brought the same module to the same place. */
static bool is_reported(const struct wire_segment *segment, size_t i, uint64_t bias,
	const struct image *images, size_t n_images)
{
	uint64_t address;

	for (size_t k = 0; k < i; k++)
		if (segment[k].slot == segment[i].slot &&
			image_address(&images[segment[k].slot], segment[k].offset, &address) &&
			segment[k].start - address == bias)
			return true;
	return false;
}

static void report(struct space *space, const struct wire_segment *segment, size_t i,
	const struct image *images, size_t n_images)
{
	const struct image *image = segment[i].slot < n_images ? &images[segment[i].slot] : NULL;
	uint64_t address;
	char name[48];

	if (!image || (image->machine != EM_X86_64 && image->machine != EM_AARCH64) ||
		!image_address(image, segment[i].offset, &address))
		return;
	uint64_t bias = segment[i].start - address;
	if (is_reported(segment, i, bias, images, n_images))
		return;
	int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	snprintf(name, sizeof(name), "%llu:%llx", (unsigned long long)segment[i].slot,
		(unsigned long long)bias);
	if (!dwfl_report_elf(space->dwfl, name, "", fd, bias, true))
		close(fd);
	else if (!space->machine)
		space->machine = image->machine;
}

void space_init(struct space *space, const struct wire_segment *segment, size_t n, const struct image *images,
	size_t n_images)
{
	*space = (struct space) { .dwfl = dwfl_begin(&callbacks) };
	if (!space->dwfl)
		return;
	dwfl_report_begin(space->dwfl);
	for (size_t i = 0; i < n; i++)
		report(space, segment, i, images, n_images);
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
	space->registers = *registers;
	space->stack = stack;
	space->stack_n = stack_n;
	space->address = ret_address;
	space->n = 0;
	*ret_cut = dwfl_getthread_frames(space->dwfl, THREAD, put_frame, space) != 0;
	return space->n;
}
