/* SPDX-License-Identifier: MIT */
/* What symbols-subject writes of its stack. */
#pragma once

#include <stdint.h>

enum { SUBJECT_FRAMES = 64 };

struct subject_stack {
	uint64_t registers[33]; /* by DWARF number */
	uint32_t n, n_frames;
	uint8_t bytes[32768];        /* from the stack pointer upwards */
	void *frame[SUBJECT_FRAMES]; /* what backtrace(3) says in the same function */
};
