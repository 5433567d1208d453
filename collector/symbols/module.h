/* SPDX-License-Identifier: MIT */
/*
 * Files with code that processes have mapped, and which of them is where in a process. A module is known by
 * its build id, so that what is found out about one holds for every process that maps a copy of it, also once
 * the file is unlinked, its process dead, or its place given to another.
 *
 * A module is shared and counted. While some table has it, its file is open, which keeps a file system from
 * being unmounted: free a table once its places have their symbols. The module itself may be kept as long as
 * one likes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

enum { MODULE_ID_MAX = 32 };

struct module_id {
	uint8_t n;  /* bytes of it */
	bool built; /* a build id; else made of the file's number, device and time, for the file has none */
	uint8_t bytes[MODULE_ID_MAX];
};

struct module {
	struct module_id id;
	const char *path; /* as the process saw it, any bytes, without " (deleted)" */
	const char *name; /* the last part of it */
};

struct module *module_ref(struct module *module); /* returns it; any thread */
void module_unref(struct module *module);         /* takes NULL; any thread */

/* A place in the code of a module. Of a return address it is the last byte of the call. */
struct module_place {
	struct module *module; /* NULL: no file is there (JIT, vdso) */
	uint64_t address; /* in the file's own addresses, as addr2line takes it; without module the process's
			   */
};

/* Executable pages of a module in a process. */
struct module_segment {
	uint64_t start, end; /* addresses of the process */
	uint64_t bias;       /* of the process's addresses to the file's own */
	struct module *module;
};

/* What code a process has, ascending. Starts as all zero. */
struct module_table {
	struct module_segment *segment;
	size_t n;
	uint64_t number; /* differs from that of every table with other content */
};

/*
 * Makes the table be that of a process, given the descriptor of its directory: reads maps, opens new files
 * through map_files or, without the right to, through the process's root, and has the child tell their build
 * ids. To be called again when an address is in no segment (dlopen). It takes the process's mmap lock and
 * waits for the child until the time at the latest: not for the loop's thread. PROC_OK; PROC_GONE or -errno,
 * and the table stays what it was.
 */
int module_table_read(
	struct symbols *symbols, int pid_dir, int64_t until_monotonic_ns, struct module_table *table);
void module_table_deinit(struct symbols *symbols, struct module_table *table);

/* The segment of an address; NULL where there is none. */
const struct module_segment *module_table_find(const struct module_table *table, uint64_t address);

/*
 * A module that a process itself told of, by path and build id (the shim's list), for places in what it has
 * unloaded. Looks for the file below the process's root, or with -1 in our own, and takes it if its id is
 * that; where it is gone the module has no file, and of its places only what is remembered is known. The file
 * is opened by the calling thread's rights, for the path is what the process says: lend it the process's
 * (rights_lend). 0 or -ENOMEM, and a reference that keeps the file open: module_close ends that, module_unref
 * the rest.
 */
int module_find(struct symbols *symbols, int pid_dir, const char *path, const uint8_t *build_id, size_t n,
	int64_t until_monotonic_ns, struct module **ret_module);
void module_close(struct symbols *symbols, struct module *module);

/* The place a return address returns to, not counted: take a module_ref of what outlives the table. */
struct module_place module_table_place(const struct module_table *table, uint64_t return_address);
