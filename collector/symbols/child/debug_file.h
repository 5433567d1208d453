/* SPDX-License-Identifier: MIT */
/*
 * Separate debug information, found by build id where packages put it, for everybody to read. Nothing else is
 * ever opened by the child: not what a file says its debug information is called, nor what is on a network.
 */
#pragma once

#include <elfutils/libdwfl.h>

#define DEBUG_FILE_DIR "/usr/lib/debug"

/* Dwfl_Callbacks.find_debuginfo: by build id; for the part that several files share (dwz) by its name, which
 * stays within the directory. */
int debug_file_find(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **ret_name);

/* Dwfl_Callbacks that find nothing. */
int debug_file_none(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **ret_name);
int debug_file_no_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	char **ret_name, Elf **ret_elf);
