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
	uint8_t id[WIRE_ID_MAX];
	unsigned id_n;
	struct image_load {
		uint64_t offset, size, address;
		bool code;
	} * load;
	size_t n_loads;
	/* Made when first asked for; image_forget takes it away again. */
	bool tried;
	uint64_t used; /* of the child's clock of questions */
	Dwfl *dwfl;
	Dwfl_Module *module;
	uint64_t bias; /* of dwfl's addresses to the file's own */
	struct image_symbols *symbols;
	struct image_lines *lines;
};

/* Takes the descriptor. What is no ELF file has no machine and no id. */
void image_init(struct image *image, int fd);
void image_deinit(struct image *image);

/* Drops what only names take, which is most of it. */
void image_forget(struct image *image);

/* The file's own address of what is mapped from an offset. False where no segment has it. */
bool image_address(const struct image *image, uint64_t offset, uint64_t *ret_address);

/* Names a place. Texts are in `texts`, which is emptied first, or the image's. */
void image_resolve(struct image *image, uint64_t offset, struct buf *texts, struct wire_symbol *ret);
