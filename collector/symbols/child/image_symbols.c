/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/image_symbols.h"

#include <gelf.h>
#include <stdlib.h>

#include "collector/symbols/child/range_table.h"

/* A range's value is the number of its name with the rank above it: of those at one address the highest is
 * found. */
enum { RANK_SHIFT = 29, NAMES_MAX = 1 << RANK_SHIFT };

struct image_symbols {
	struct range_table ranges;
	size_t n;
	const char *name[];
};

/* Functions before what is only a label, global before weak before local. */
static uint32_t rank_of(const GElf_Sym *sym)
{
	unsigned bind = GELF_ST_BIND(sym->st_info);

	return (GELF_ST_TYPE(sym->st_info) != STT_NOTYPE ? 4U : 0U) +
	       (bind == STB_GLOBAL ? 2U : bind == STB_WEAK);
}

static bool is_code(const GElf_Sym *sym, GElf_Word section)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	return sym->st_size && section != SHN_UNDEF && section != SHN_ABS &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

struct image_symbols *image_symbols_new(Dwfl_Module *module, uint64_t bias)
{
	int n = dwfl_module_getsymtab(module);
	size_t cap = n > 0 && n < NAMES_MAX ? (size_t)n : 0;
	struct image_symbols *symbols = calloc(1, sizeof(*symbols) + cap * sizeof(symbols->name[0]));

	for (size_t i = 0; symbols && i < cap; i++) {
		GElf_Sym sym;
		GElf_Addr address;
		GElf_Word section;
		const char *name =
			dwfl_module_getsym_info(module, (int)i, &sym, &address, &section, NULL, NULL);
		if (!name || !*name || !is_code(&sym, section))
			continue;
		address -= bias;
		uint64_t end = address + sym.st_size < address ? UINT64_MAX : address + sym.st_size;
		range_table_add(
			&symbols->ranges, address, end, rank_of(&sym) << RANK_SHIFT | (uint32_t)symbols->n);
		symbols->name[symbols->n++] = name;
	}
	if (symbols)
		range_table_sort(&symbols->ranges);
	return symbols;
}

void image_symbols_free(struct image_symbols *symbols)
{
	if (symbols)
		range_table_deinit(&symbols->ranges);
	free(symbols);
}

const char *image_symbols_find(const struct image_symbols *symbols, uint64_t address)
{
	uint32_t value;

	if (!symbols || !range_table_find(&symbols->ranges, address, &value))
		return NULL;
	return symbols->name[value & (NAMES_MAX - 1)];
}
