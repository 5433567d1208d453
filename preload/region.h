/* SPDX-License-Identifier: MIT */
/*
 * The making of a process's shadow region (schema/shadow.h): a sealed memfd, mapped once for good, so that
 * afterwards there is no system call, and no descriptor that the program could close.
 */
#pragma once

#include "preload/shim.h"

/*
 * Makes the region, or takes the one that was handed over as `fd` (-1: none), and maps it; closes a handed
 * one. SHADOW_FINE: *ret_fd is the region's descriptor, for offering and the caller to close, or -1 where it
 * was handed over, and shim has it, but for the header, which still says off. Else *ret_error is an errno or
 * 0.
 */
enum shadow_reason region_make(int fd, enum shadow_origin origin, int *ret_fd, int *ret_error) hidden;

/*
 * In a child of fork, before region_make: nothing of the parent's is on record. Its mapping stays until
 * region_make puts the child's in the same place, so that what a signal interrupted in malloc before the fork
 * still has its addresses.
 */
void region_leave(void) hidden;

/* After the region's leaves: no more of the address space than that much is to be held. Leaves in use stay.
 */
void region_shrink(uint64_t bytes) hidden;

/* Whether any of these addresses is the region's, or of what the shim reserved beside it. */
bool region_overlaps(uintptr_t start, uintptr_t end) hidden;

/* All of that, in bytes. */
uint64_t region_bytes(void) hidden;

enum { REGION_SHARE_OF_ADDRESSES = 8 }; /* of the room that a limit of the address space leaves */

/* How many leaves a process begins with, which has so much memory to use, address space left of a limit
 * (UINT64_MAX: none), and may write files of so many bytes. 0: there is no room. */
uint64_t region_leaves(
	uint32_t granule_shift, uint64_t memory_bytes, uint64_t address_bytes, uint64_t file_bytes) hidden;

/* Whether the file is a region nobody took: sealed, without a link, of `inode`, empty, of a plausible size.
 */
bool region_is_handed(int fd, uint64_t inode) hidden;
