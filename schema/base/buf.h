/* SPDX-License-Identifier: MIT */
/*
 * A text buffer that grows, or one that fills a caller's array. Appending never fails at the call: a buffer
 * that ran out of room remembers it, and whoever uses the bytes asks buf_error() once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool fixed;  /* data belongs to the caller and does not grow */
	bool failed; /* something did not fit, or memory ran out */
};

#define BUF_INIT         ((struct buf) { 0 })
#define BUF_FIXED(array) ((struct buf) { .data = (array), .cap = sizeof(array), .fixed = true })

void buf_deinit(struct buf *buf); /* frees what the buffer owns; leaves it empty */
#define CLEANUP_BUF __attribute__((cleanup(buf_deinit)))

/* 0, -ENOMEM where a growing buffer found no memory, -EFBIG where a fixed one is too small. */
int buf_error(const struct buf *buf);

static inline void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

/* Room for n more bytes at the end, for a caller that writes them itself and adds to len; NULL where there is
 * none. */
char *buf_reserve(struct buf *buf, size_t n);

void buf_put(struct buf *buf, const void *bytes, size_t n);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_i64(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As in /proc/mounts: TAB, newline, backslash, DEL and the other control bytes become \ooo. */
void buf_put_escaped(struct buf *buf, const char *bytes, size_t n);

/* The bytes that an escaped text stands for. */
void buf_put_unescaped(struct buf *buf, const char *text, size_t n);
