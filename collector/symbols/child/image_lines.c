/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/image_lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/child/demangle.h"
#include "collector/symbols/child/range_table.h"
#include "schema/base/array.h"

enum { DEPTH_MAX = 64 };

/* A function with code of its own; the die's are in the order of their making, which tables refer to. */
struct unit {
	Dwarf_Die die;
	bool listed; /* functions are known */
	struct range_table functions;
	Dwarf_Die *function;
	size_t n_functions, cap;
};

struct image_lines {
	uint64_t to_dwarf; /* added to an address of the file */
	struct range_table units;
	struct unit *unit;
	size_t n, cap;
};

static void add_ranges(struct range_table *table, Dwarf_Die *die, uint32_t value)
{
	Dwarf_Addr base = 0, start, end;

	for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;)
		range_table_add(table, start, end, value);
}

struct image_lines *image_lines_new(Dwfl_Module *module, uint64_t bias)
{
	Dwarf_Addr dwarf_bias;
	Dwarf *dwarf = dwfl_module_getdwarf(module, &dwarf_bias);
	struct image_lines *lines = dwarf ? calloc(1, sizeof(*lines)) : NULL;
	Dwarf_CU *cu = NULL;
	uint8_t type;
	Dwarf_Die die;

	if (!lines)
		return NULL;
	lines->to_dwarf = bias - dwarf_bias;
	/* Without asking for the other half of a split unit: it would be opened by the name it gives. */
	while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, NULL) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		struct unit *unit = array_push(&lines->unit, &lines->n, &lines->cap);
		if (!unit)
			break;
		*unit = (struct unit) { .die = die };
		add_ranges(&lines->units, &die, (uint32_t)(lines->n - 1));
	}
	range_table_sort(&lines->units);
	return lines;
}

void image_lines_free(struct image_lines *lines)
{
	if (!lines)
		return;
	for (size_t i = 0; i < lines->n; i++) {
		range_table_deinit(&lines->unit[i].functions);
		free(lines->unit[i].function);
	}
	range_table_deinit(&lines->units);
	free(lines->unit);
	free(lines);
}

static void add_function(struct unit *unit, Dwarf_Die *die)
{
	Dwarf_Die *function = array_push(&unit->function, &unit->n_functions, &unit->cap);

	if (!function)
		return;
	*function = *die;
	add_ranges(&unit->functions, die, (uint32_t)(unit->n_functions - 1));
}

/* Functions below a die, within what can hold some. */
static void list_functions(struct unit *unit, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;

	if (depth > DEPTH_MAX || dwarf_child(parent, &die))
		return;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			add_function(unit, &die);
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
			list_functions(unit, &die, depth + 1);
			break;
		default:
			break;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
}

static bool find_function(struct unit *unit, uint64_t address, Dwarf_Die *ret)
{
	uint32_t number;

	if (!unit->listed) {
		unit->listed = true;
		list_functions(unit, &unit->die, 0);
		range_table_sort(&unit->functions);
	}
	if (!range_table_find(&unit->functions, address, &number))
		return false;
	*ret = unit->function[number];
	return true;
}

/* The die of these below `die` that has the address. */
static bool find_block(Dwarf_Die *die, uint64_t address, Dwarf_Die *ret)
{
	Dwarf_Die child;

	if (dwarf_child(die, &child))
		return false;
	do {
		int tag = dwarf_tag(&child);
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
			    tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
			dwarf_haspc(&child, address) > 0) {
			*ret = child;
			return true;
		}
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

/* What is inlined in a function at an address, outermost first. */
static unsigned list_inlined(
	const Dwarf_Die *function, uint64_t address, Dwarf_Die ret[static WIRE_INLINED_MAX])
{
	Dwarf_Die die = *function;
	unsigned n = 0;

	/* The outermost frame has a place of its own. */
	for (unsigned depth = 0; depth < DEPTH_MAX && n < WIRE_INLINED_MAX - 1; depth++) {
		if (!find_block(&die, address, &die))
			break;
		if (dwarf_tag(&die) == DW_TAG_inlined_subroutine)
			ret[n++] = die;
	}
	return n;
}

static const char *linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;

	return dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
			       dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute)
		       ? dwarf_formstring(&attribute)
		       : NULL;
}

/*
 * The mangled name says most. Without one, as in C, the symbol of the code does; it comes second, for the
 * linker may have given one code the names of many functions.
 */
static const char *name_of(Dwarf_Die *die, const char *symbol)
{
	const char *name = linkage_name(die);

	return name ? name : symbol ? symbol : dwarf_diename(die);
}

/* Texts are offsets until all of them are there, for the buffer moves. */
static void put_function(struct wire_frame *frame, struct buf *texts, const char *name)
{
	size_t begin = texts->len;

	demangle_put(texts, name && *name ? name : "?");
	frame->function_n = (uint16_t)(texts->len - begin);
}

static void put_place(struct wire_frame *frame, struct buf *texts, const char *file, int line)
{
	size_t begin = texts->len;

	if (!file)
		return;
	demangle_put_cut(texts, file, WIRE_FILE_MAX);
	frame->file_n = (uint16_t)(texts->len - begin);
	frame->line = line > 0 ? (uint32_t)line : 0;
}

static void put_line(struct wire_frame *frame, struct buf *texts, struct unit *unit, uint64_t address)
{
	Dwarf_Line *line = dwarf_getsrc_die(&unit->die, address);
	int number = 0;

	if (line && dwarf_lineno(line, &number) == 0)
		put_place(frame, texts, dwarf_linesrc(line, NULL, NULL), number);
}

static void put_call(struct wire_frame *frame, struct buf *texts, struct unit *unit, Dwarf_Die *inlined)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file, line = 0;
	Dwarf_Files *files;
	size_t n;

	if (dwarf_getsrcfiles(&unit->die, &files, &n) ||
		dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) || file >= n)
		return;
	dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line);
	put_place(frame, texts, dwarf_filesrc(files, file, NULL, NULL), line < INT32_MAX ? (int)line : 0);
}

static void point_into(struct wire_symbol *symbol, const struct buf *texts)
{
	const char *at = texts->data;

	if (texts->failed)
		symbol->n = 0;
	for (unsigned i = 0; i < symbol->n; i++) {
		struct wire_frame *frame = &symbol->frame[i];
		frame->function = at;
		at += frame->function_n;
		frame->file = frame->file_n ? at : NULL;
		at += frame->file_n;
	}
}

void image_lines_find(struct image_lines *lines, uint64_t address, const char *symbol, struct buf *texts,
	struct wire_symbol *ret)
{
	uint64_t at = address + (lines ? lines->to_dwarf : 0);
	struct wire_frame *frame = ret->frame;
	Dwarf_Die inlined[WIRE_INLINED_MAX], function;
	struct unit *unit = NULL;
	unsigned n = 0;
	uint32_t number;

	if (lines && range_table_find(&lines->units, at, &number))
		unit = &lines->unit[number];
	bool known = unit && find_function(unit, at, &function);
	if (known)
		n = list_inlined(&function, at, inlined);
	if (!known && !symbol)
		return;
	for (unsigned i = n + 1; i-- > 0; frame++) {
		*frame = (struct wire_frame) { 0 };
		if (i)
			put_function(frame, texts, name_of(&inlined[i - 1], NULL));
		else
			put_function(frame, texts, known ? name_of(&function, symbol) : symbol);
		if (!unit)
			continue;
		if (i == n)
			put_line(frame, texts, unit, at);
		else
			put_call(frame, texts, unit, &inlined[i]);
	}
	ret->n = n + 1;
	point_into(ret, texts);
}
