/* SPDX-License-Identifier: MIT */
/*
 * Numbers to text and back. Parsing never reads past `end`, takes no locale and refuses overflow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUM_TEXT_MAX = 24 }; /* room for any 64-bit decimal with its sign and a NUL */

/*
 * Reads the decimal digits at *p (no sign, no blanks), stores their value and moves *p behind them.
 * Returns false, and changes nothing, where there is no digit or the value exceeds 64 bits.
 */
bool num_parse_u64(const char **p, const char *end, uint64_t *ret_value);

/* The same with an optional '-'. */
bool num_parse_i64(const char **p, const char *end, int64_t *ret_value);

/* The whole of [text, text + len) as one decimal number. */
bool num_parse_whole(const char *text, size_t len, uint64_t *ret_value);

/* The whole of [text, text + len) as a size: digits and an optional K, M, G or T in either case, powers of
 * 1024. */
bool num_parse_size(const char *text, size_t len, uint64_t *ret_bytes);

/* The whole of [text, text + len) as the kernel's `N kB`, in bytes. */
bool num_parse_kb(const char *text, size_t len, uint64_t *ret_bytes);

/* Writes value in decimal without a NUL; out has NUM_TEXT_MAX bytes. Returns the number of characters. */
size_t num_format_u64(char *out, uint64_t value);
size_t num_format_i64(char *out, int64_t value);
