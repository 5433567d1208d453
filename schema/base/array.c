/* SPDX-License-Identifier: MIT */
#include "schema/base/array.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64 };

bool array_grow(void *items, size_t *cap, size_t size)
{
	size_t wanted = *cap ? 2 * *cap : FIRST_ROOM, bytes;
	void *first, *grown;

	if (*cap > SIZE_MAX / 2 || __builtin_mul_overflow(wanted, size, &bytes))
		return false;
	memcpy(&first, items, sizeof(first));
	grown = realloc(first, bytes);
	if (!grown)
		return false;
	memcpy(items, &grown, sizeof(grown));
	*cap = wanted;
	return true;
}
