/* SPDX-License-Identifier: MIT */
#include "collector/symbols/wire.h"

#include <string.h>

/* Bytes of what `count` counts, and how many of it there may be; a fixed part stands before it. */
static const struct {
	uint32_t fixed, each, max;
} shape[N_WIRE_OPS] = {
	[WIRE_OPENED] = { sizeof(struct wire_identity), sizeof(struct wire_load), WIRE_LOADS_MAX },
	[WIRE_RESOLVE] = { 0, sizeof(uint64_t), WIRE_ADDRESSES_MAX },
	[WIRE_SYMBOLS] = { 0, 0, WIRE_ADDRESSES_MAX }, /* each of its own length */
	[WIRE_SPACE] = { 0, sizeof(struct wire_module), WIRE_MODULES_MAX },
	[WIRE_UNWIND] = { sizeof(struct wire_registers), 1, WIRE_STACK_MAX },
	[WIRE_STACK] = { 0, sizeof(uint64_t), WIRE_FRAMES_MAX },
};

static bool take(const uint8_t **at, size_t *n, void *ret, size_t size)
{
	if (*n < size)
		return false;
	memcpy(ret, *at, size);
	*at += size;
	*n -= size;
	return true;
}

bool wire_take_head(const uint8_t **at, size_t *n, struct wire_head *ret)
{
	const uint8_t *p = *at;
	size_t rest = *n;
	struct wire_head head;

	if (!take(&p, &rest, &head, sizeof(head)) || head.op >= N_WIRE_OPS || head.count > shape[head.op].max)
		return false;
	if (head.op != WIRE_SYMBOLS &&
		rest != shape[head.op].fixed + (size_t)head.count * shape[head.op].each)
		return false;
	*at = p;
	*n = rest;
	*ret = head;
	return true;
}

void wire_put_head(struct buf *out, const struct wire_head *head)
{
	buf_put(out, head, sizeof(*head));
}

static void put_text(struct buf *out, const char *text, uint16_t n)
{
	buf_put(out, &n, sizeof(n));
	buf_put(out, text, n);
}

/* A text of at most `max` bytes; NULL for one without any. */
static bool take_text(const uint8_t **at, size_t *n, uint16_t max, const char **ret_text, uint16_t *ret_n)
{
	if (!take(at, n, ret_n, sizeof(*ret_n)) || *ret_n > max || *ret_n > *n)
		return false;
	*ret_text = *ret_n ? (const char *)*at : NULL;
	*at += *ret_n;
	*n -= *ret_n;
	return true;
}

void wire_put_symbol(struct buf *out, const struct wire_symbol *symbol)
{
	uint8_t frames = (uint8_t)symbol->n;

	buf_put(out, &frames, sizeof(frames));
	for (unsigned i = 0; i < symbol->n; i++) {
		const struct wire_frame *frame = &symbol->frame[i];
		buf_put(out, &frame->line, sizeof(frame->line));
		put_text(out, frame->function, frame->function_n);
		put_text(out, frame->file, frame->file ? frame->file_n : 0);
	}
}

bool wire_take_symbol(const uint8_t **at, size_t *n, struct wire_symbol *ret)
{
	uint8_t frames;

	if (!take(at, n, &frames, sizeof(frames)) || frames > WIRE_INLINED_MAX)
		return false;
	ret->n = frames;
	for (unsigned i = 0; i < frames; i++) {
		struct wire_frame *frame = &ret->frame[i];
		if (!take(at, n, &frame->line, sizeof(frame->line)) ||
			!take_text(at, n, WIRE_FUNCTION_MAX, &frame->function, &frame->function_n) ||
			!frame->function || !take_text(at, n, WIRE_FILE_MAX, &frame->file, &frame->file_n))
			return false;
	}
	return true;
}
