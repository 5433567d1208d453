/* SPDX-License-Identifier: MIT */
/*
 * An ELF file that somebody else wrote, as the child has it. libdw is called in this directory alone;
 * whatever it does over a file that lies ends with the process.
 */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/symbols/wire.h"

struct image_symbols;
struct image_lines;

struct image {
	int fd;
	uint16_t machine; /* EM_*; 0: no ELF file */
	/* Made when first asked for; image_forget takes it away again. */
	bool tried;
	uint64_t used; /* of the child's clock of questions */
	Dwfl *dwfl;
	Dwfl_Module *module;
	uint64_t bias; /* of dwfl's addresses to the file's own */
	struct image_symbols *symbols;
	struct image_lines *lines;
};

/* Takes the descriptor, and says what it is. Returns the number of loads. */
unsigned image_init(struct image *image, int fd, struct wire_identity *ret,
	struct wire_load ret_load[static WIRE_LOADS_MAX]);
void image_deinit(struct image *image);

/* Drops what only names take, which is most of it. */
void image_forget(struct image *image);

/* Names an address of the file. Texts are in `texts`, which is emptied first. */
void image_resolve(struct image *image, uint64_t address, struct buf *texts, struct wire_symbol *ret);
