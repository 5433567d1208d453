/* SPDX-License-Identifier: MIT */
/* A process as far as unwinding needs it: its modules where they are, and a copy of a stack at a time. */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdbool.h>

#include "collector/symbols/child/image.h"

struct space {
	Dwfl *dwfl; /* NULL: none */
	uint16_t machine;
	/* Of the question at hand. */
	const struct wire_registers *registers;
	const uint8_t *stack; /* from the stack pointer upwards */
	size_t stack_n;
	uint64_t *address;
	unsigned n;
	bool missed; /* something outside of the copy was wanted */
};

/* Modules of slots that are empty are left out. The space stays where it is. */
void space_init(struct space *space, const struct wire_module *module, size_t n, const struct image *images,
	size_t n_images);
void space_deinit(struct space *space);

/*
 * Stores the addresses of the frames, innermost first, callers as the last byte of their call. Returns how
 * many; *ret_cut where it goes on.
 */
unsigned space_unwind(struct space *space, const struct wire_registers *registers, const uint8_t *stack,
	size_t stack_n, uint64_t ret_address[static WIRE_FRAMES_MAX], bool *ret_cut);
