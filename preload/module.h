/* SPDX-License-Identifier: MIT */
/*
 * Modules: the loaded objects that sites are in, written down while they are there, so that a site can be
 * named after they, or the process, are gone. Found by _dl_find_object (glibc 2.35), which takes no lock and
 * allocates nothing: the loader's other ways in lock, and a malloc may come from inside the loader. Without
 * it all sites are of module 0.
 */
#pragma once

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/shim.h"

/* The module of a return address, from 1; 0: none, or the table is full. Async-signal-safe. */
uint32_t module_find(uintptr_t addr) hidden;

/* Marks the module if it is not loaded where it was any more: true at the first such call, false else. */
bool module_drop_gone(uint32_t module) hidden;

/*
 * The GNU build id of an object whose program headers are in memory at `headers`, at `bias` from their
 * addresses; only what lies in a readable segment is looked at. Copies up to SHADOW_BUILD_ID_MAX bytes,
 * returns how many.
 */
size_t module_build_id(const ElfW(Phdr) * headers, size_t n, uintptr_t bias, uint8_t *ret_id) hidden;
