/* SPDX-License-Identifier: MIT */
/*
 * Names for the sites of a region, from what the process has mapped or, where that is gone, from what the
 * shim noted of the module. In a worker's thread: it waits for the child that reads foreign files.
 */
#pragma once

#include "collector/leaks/lists.h"
#include "collector/leaks/site_name.h"
#include "collector/leaks/table.h"
#include "collector/symbols/symbols.h"
#include "schema/proc/root.h"

struct namer {
	struct symbols *symbols; /* NULL: sites have modules and offsets alone */
	const struct proc_root *root;
};

/* Whose modules: of a process that ended nothing is read any more. */
struct namer_process {
	uint32_t pid;
	uint64_t start_ticks;
	bool lives;
};

enum {
	NAMER_PATIENCE_MS = 2000,
#ifdef __aarch64__
	NAMER_PC = 32, /* among the registers of a stack */
#else
	NAMER_PC = 16,
#endif
};

/* Reads the process's modules, if they do not cover an address. */
void namer_read_modules(const struct namer *namer, const struct namer_process *process,
	struct module_table *table, uint64_t address);

/*
 * Fills in symbol, function and what the lists say of n names, whose module and caller are known; `resolved`
 * says which are done with, known or not. `table` is what is remembered of the process's modules, `texts` has
 * the names.
 */
void namer_resolve(const struct namer *namer, const struct lists *lists, const struct namer_process *process,
	struct module_table *table, GStringChunk *texts, struct site_name *const *name, size_t n);

/* A frame's function as people know it: the C library calls its own by other names. */
const char *namer_plain(const char *function);

/* The name to show of a frame: kept in texts, a wrapper in brackets. */
const char *namer_show(GStringChunk *texts, const char *function, bool wrapper);
