/* SPDX-License-Identifier: MIT */
#include "preload/boot.h"

#include <errno.h>

/* In front of each block. Its second word looks like the header of a chunk of glibc in use. */
struct boot_block {
	size_t size;
	size_t chunk;
};

static struct {
	_Atomic size_t used;
	char bytes[BOOT_BYTES] __attribute__((aligned(16)));
} boot;

void *boot_allocate(size_t alignment, size_t size)
{
	size_t used = atomic_load_explicit(&boot.used, memory_order_relaxed), at, end;
	struct boot_block *header;

	if (alignment < 16)
		alignment = 16;
	do {
		uintptr_t block = (uintptr_t)boot.bytes + used + sizeof(struct boot_block);

		block = (block + alignment - 1) & ~(alignment - 1);
		at = block - (uintptr_t)boot.bytes;
		if (size > BOOT_BYTES || at > BOOT_BYTES - size) {
			errno = ENOMEM;
			return NULL;
		}
		end = (at + size + 15) & ~(size_t)15;
	} while (!atomic_compare_exchange_weak_explicit(
		&boot.used, &used, end, memory_order_relaxed, memory_order_relaxed));
	header = (struct boot_block *)(boot.bytes + at) - 1;
	header->size = size;
	header->chunk = ((size + 8 + 15) & ~(size_t)15) | 1;
	return boot.bytes + at;
}

bool boot_has(const void *block)
{
	return (const char *)block >= boot.bytes && (const char *)block < boot.bytes + BOOT_BYTES;
}

size_t boot_size(const void *block)
{
	return ((const struct boot_block *)block - 1)->size;
}

bool boot_was_used(void)
{
	return atomic_load_explicit(&boot.used, memory_order_relaxed) != 0;
}
