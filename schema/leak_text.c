/* SPDX-License-Identifier: MIT */
#include "schema/leak_text.h"

#include <string.h>

#include "schema/base/num.h"

static void put_hex(struct buf *out, uint64_t value)
{
	if (value)
		buf_printf(out, "0x%llx", (unsigned long long)value);
	else
		buf_putc(out, '-');
}

static void put_text(struct buf *out, struct span text)
{
	if (text.n)
		buf_put_escaped(out, text.p, text.n);
	else
		buf_putc(out, '-');
}

static void put_rate(struct buf *out, int64_t rate)
{
	if (rate == LEAK_RATE_UNKNOWN)
		buf_putc(out, '-');
	else
		buf_put_i64(out, rate);
	buf_putc(out, '\t');
}

static void put_place(struct buf *out, uint64_t caller, const struct leak_site *site)
{
	put_hex(out, caller);
	buf_putc(out, '\t');
	put_text(out, site->symbol);
	buf_putc(out, '\t');
	put_text(out, site->module);
}

static void put_numbers(struct buf *out, const struct leak_site *site)
{
	const uint64_t numbers[] = { site->suspect_bytes, site->suspect_blocks, site->live_bytes,
		site->live_blocks };
	int64_t age_ms = site->oldest_age_ms > 0 ? site->oldest_age_ms : 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		buf_put_u64(out, numbers[i]);
		buf_putc(out, '\t');
	}
	buf_printf(out, "%lld.%03d\t", (long long)(age_ms / 1000), (int)(age_ms % 1000));
	put_rate(out, site->rate_1m);
}

void leak_caller_put(struct buf *out, const struct leak_site *site)
{
	put_numbers(out, site);
	put_place(out, site->caller, site);
	buf_putc(out, '\n');
}

void leak_group_put(struct buf *out, uint64_t processes, const struct leak_site *site)
{
	put_numbers(out, site);
	put_place(out, site->module_offset, site);
	buf_putc(out, '\t');
	buf_put_u64(out, processes);
	buf_putc(out, '\n');
}

void leak_node_put(struct buf *out, uint32_t pid, struct span comm, const struct leak_site *site)
{
	buf_put_u64(out, pid);
	buf_putc(out, '\t');
	put_text(out, comm);
	buf_putc(out, '\t');
	buf_put_u64(out, site->suspect_bytes);
	buf_putc(out, '\t');
	buf_put_u64(out, site->suspect_blocks);
	buf_putc(out, '\t');
	put_rate(out, site->rate_1m);
	put_place(out, site->caller, site);
	buf_putc(out, '\n');
}

/* --- records: a million of them must not take long --- */

static char *write_decimal(char *at, uint64_t value)
{
	char reversed[NUM_TEXT_MAX];
	unsigned n = 0;

	/* Most sizes are small. */
	if (value < 1000) {
		if (value >= 100)
			*at++ = (char)('0' + value / 100);
		if (value >= 10)
			*at++ = (char)('0' + value / 10 % 10);
		*at++ = (char)('0' + value % 10);
		return at;
	}

	for (; value >= 10; value /= 10)
		reversed[n++] = (char)('0' + value % 10);
	*at++ = (char)('0' + value);
	while (n)
		*at++ = reversed[--n];
	return at;
}

static unsigned decimal_len(uint64_t value)
{
	unsigned n = 1;

	for (; value >= 10; value /= 10)
		n++;
	return n;
}

static unsigned hex_digits(uint64_t value)
{
	return value ? (67 - (unsigned)__builtin_clzll(value)) / 4 : 1;
}

/* Eight digits at a time, the first in the lowest byte: nibbles become bytes, and bytes digits. */
static uint64_t hex_of(uint32_t value)
{
	uint64_t x = value;

	x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
	x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	/* 1 in each byte that is 10 or more. */
	uint64_t letters = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
	return __builtin_bswap64(x + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10));
}

/* Writes 8 bytes, of which those behind the first few digits left out count. */
static void write_digits(char *at, uint64_t digits, unsigned leave_out)
{
	digits >>= 8 * leave_out;
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		digits = __builtin_bswap64(digits);
	memcpy(at, &digits, sizeof(digits));
}

/* Uses up to 10 bytes, or as many as the number takes. */
static char *write_hex(char *at, uint64_t value)
{
	unsigned n = hex_digits(value);

	*at++ = '0';
	*at++ = 'x';
	if (n > 8) {
		write_digits(at, hex_of((uint32_t)(value >> 32)), 16 - n);
		write_digits(at + n - 8, hex_of((uint32_t)value), 0);
	} else {
		write_digits(at, hex_of((uint32_t)value), 8 - n);
	}
	return at + n;
}

void leak_record_text_init(struct leak_record_text *text, uint32_t pid)
{
	*text = (struct leak_record_text) { .time_ms = -1 };
	char *end = write_decimal(text->pid, pid);
	*end++ = '\t';
	text->pid_len = (unsigned)(end - text->pid);
}

static void set_time(struct leak_record_text *text, int64_t time_ms)
{
	if (text->time_ms == time_ms)
		return;
	/* A time before the epoch is no time. */
	uint64_t ms = time_ms > 0 ? (uint64_t)time_ms : 0;
	char *at = write_decimal(text->time, ms / 1000);
	*at++ = '.';
	*at++ = (char)('0' + ms / 100 % 10);
	*at++ = (char)('0' + ms / 10 % 10);
	*at++ = (char)('0' + ms % 10);
	*at++ = '\t';
	text->time_len = (unsigned)(at - text->time);
	text->time_ms = time_ms;
}

char *leak_record_write(struct leak_record_text *text, char *at, int64_t time_ms, uint64_t size_bytes,
	uint64_t addr, uint64_t caller)
{
	set_time(text, time_ms);
	memcpy(at, text->time, text->time_len);
	at += text->time_len;
	memcpy(at, text->pid, text->pid_len);
	at += text->pid_len;
	at = write_decimal(at, size_bytes);
	*at++ = '\t';
	at = write_hex(at, addr);
	*at++ = '\t';
	if (caller)
		at = write_hex(at, caller);
	else
		*at++ = '-';
	*at++ = '\n';
	return at;
}

size_t leak_record_len(
	struct leak_record_text *text, int64_t time_ms, uint64_t size_bytes, uint64_t addr, uint64_t caller)
{
	set_time(text, time_ms);
	return (size_t)text->time_len + text->pid_len + decimal_len(size_bytes) + 1 + 2 + hex_digits(addr) +
	       1 + (caller ? 2 + hex_digits(caller) : 1) + 1;
}
