/* SPDX-License-Identifier: MIT */
/* The functions of a file's symbol tables, sorted: libdw goes through all of them at each question. */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdint.h>

struct image_symbols;

/* Of .symtab, of the debug file's where that has none, or of .dynsym. NULL where there is no memory. */
struct image_symbols *image_symbols_new(Dwfl_Module *module, uint64_t bias);
void image_symbols_free(struct image_symbols *symbols); /* takes NULL */

/* The symbol, as it is in the file, within whose size an address of the file is; NULL where none is. */
const char *image_symbols_find(const struct image_symbols *symbols, uint64_t address);
