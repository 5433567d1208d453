/* SPDX-License-Identifier: MIT */
/*
 * Arrays that grow by one: a pointer, how many there are and how many there is room for, which stand wherever
 * their owner wants them, start as zero, and end with free(). The element's type is that of the pointer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Makes room for more than *cap elements of `size` bytes. items: the address of the pointer to the first.
 * False without memory; the array is what it was then. */
bool array_grow(void *items, size_t *cap, size_t size);

static inline void *array_insert_bytes(void *items, size_t *n, size_t *cap, size_t size, size_t at)
{
	char *first;

	if (*n == *cap && !array_grow(items, cap, size))
		return NULL;
	memcpy(&first, items, sizeof(first));
	if (at < *n)
		memmove(first + (at + 1) * size, first + at * size, (*n - at) * size);
	++*n;
	return first + at * size;
}

/* The place of a new element behind the others, or at `at` <= *n with those from there moved up; its bytes
 * are unspecified. NULL without memory. */
#define array_push(items, n, cap) array_insert(items, n, cap, *(n))
#define array_insert(items, n, cap, at)                                                                      \
	((__typeof__(*(items)))array_insert_bytes(items, n, cap, sizeof(**(items)), at))
