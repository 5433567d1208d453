/* SPDX-License-Identifier: MIT */
/*
 * What debug information says of an address: file, line, and the functions inlined there. Which unit and
 * which function an address is in is looked up in sorted tables of our own, made once: units need not be
 * listed in .debug_aranges (clang leaves it out), and libdw goes through a unit from its beginning at each
 * question.
 */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdint.h>

#include "collector/symbols/wire.h"

struct image_lines;

/* NULL where there is no debug information. */
struct image_lines *image_lines_new(Dwfl_Module *module, uint64_t bias);
void image_lines_free(struct image_lines *lines); /* takes NULL */

/*
 * Adds the frames of an address of the file, innermost first; `symbol` is the name of the outermost in the
 * symbol table, or NULL. Texts are put into `texts`.
 */
void image_lines_find(struct image_lines *lines, uint64_t address, const char *symbol, struct buf *texts,
	struct wire_symbol *ret);
