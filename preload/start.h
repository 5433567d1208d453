/* SPDX-License-Identifier: MIT */
/*
 * The start of the shim: by the first call of the process, which may come before any constructor, and again
 * by the first call of a child of fork.
 */
#pragma once

#include "preload/shim.h"

/* Finds the allocator, and makes the region as soon as the environment can be read. Changes no errno. */
void start(void) hidden cold;

/* Only the first part: whether shim.real is the allocator now. False: another thread, or this one, is asking.
 */
bool start_resolve(void) hidden cold;

/* The handlers of fork: before, in the thread that forks, and after, in the child. */
void start_before_fork(void) hidden;
void start_in_child(void) hidden;

/* What shim.real has while the allocator is not known: they ask for it, or give boot memory. */
void *start_malloc(size_t size) hidden;
void start_free(void *block) hidden;
void *start_calloc(size_t n, size_t size) hidden;
void *start_realloc(void *block, size_t size) hidden;
void *start_memalign(size_t alignment, size_t size) hidden;
int start_posix_memalign(void **ret_block, size_t alignment, size_t size) hidden;
void *start_valloc(size_t size) hidden;
void *start_pvalloc(size_t size) hidden;
