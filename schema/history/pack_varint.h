/* SPDX-License-Identifier: MIT */
/*
 * The numbers that packed history is made of. A varint is LEB128: seven bits a byte, the lowest first. A
 * paged number is a zigzagged one whose lowest bit says that it counts pages of 4096: most sizes do, and are
 * then twelve bits shorter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { VARINT_MAX = 10, PAGED_SHIFT = 12 };

static inline uint64_t zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t unzigzag(uint64_t z)
{
	return z >> 1 ^ (0 - (z & 1));
}

/* Writes at most VARINT_MAX bytes at `at`; returns the place behind them. */
static inline uint8_t *varint_put(uint8_t *at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static inline bool varint_get_long(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *p = *at;
	uint64_t v = 0;

	for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
		uint8_t byte = *p++;

		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*at = p;
			*ret = v;
			return true;
		}
	}
	return false;
}

/* False at the end of the bytes, or where the number has more than 64 bits. */
static inline bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *p = *at;

	/* Nearly all have one byte or two. */
	if (end - p >= 2) {
		if (!(p[0] & 0x80)) {
			*ret = p[0];
			*at = p + 1;
			return true;
		}
		if (!(p[1] & 0x80)) {
			*ret = (uint64_t)p[1] << 7 | (p[0] & 0x7f);
			*at = p + 2;
			return true;
		}
	}
	return varint_get_long(at, end, ret);
}

/* The first byte has the page bit and six bits of the number, so that 64 bits still fit in VARINT_MAX bytes.
 */
static inline uint8_t *paged_put(uint8_t *at, uint64_t difference)
{
	bool pages = !(difference & ((UINT64_C(1) << PAGED_SHIFT) - 1)) && difference;
	uint64_t z = zigzag(pages ? (uint64_t)((int64_t)difference >> PAGED_SHIFT) : difference);
	uint8_t first = (uint8_t)((z & 0x3f) << 1 | pages);

	if (z >> 6 == 0) {
		*at++ = first;
		return at;
	}
	*at++ = first | 0x80;
	return varint_put(at, z >> 6);
}

static inline bool paged_get(const uint8_t **at, const uint8_t *end, uint64_t *ret_difference)
{
	const uint8_t *p = *at;
	uint64_t z, high = 0;

	if (p == end)
		return false;
	uint8_t first = *p++;
	if (first & 0x80 && (!varint_get(&p, end, &high) || high >> 58))
		return false;
	z = high << 6 | (first >> 1 & 0x3f);
	*ret_difference = first & 1 ? unzigzag(z) << PAGED_SHIFT : unzigzag(z);
	*at = p;
	return true;
}
