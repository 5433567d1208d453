/* SPDX-License-Identifier: MIT */
/* Both sides of the wire: the child's answers as its parent reads them, and any question put to the child. */
#include <string.h>
#include <unistd.h>

#include "collector/symbols/child/answer.h"
#include "collector/symbols/symbol_cache.h"
#include "tests/fuzz/fuzz.h"

static void read_answer(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	struct wire_symbol symbol;
	struct wire_head head;
	size_t n = size;

	if (!wire_take_head(&at, &n, &head))
		return;
	CHECK(head.op < N_WIRE_OPS && at >= data && at + n == data + size);
	for (uint32_t i = 0; head.op == WIRE_SYMBOLS && i < head.count && wire_take_symbol(&at, &n, &symbol);
		i++) {
		CHECK(at + n == data + size);
		struct symbol *made = symbol_new(&symbol);
		CHECK(made && made->n == symbol.n);
		for (unsigned k = 0; k < made->n; k++)
			CHECK(*made->frame[k].function || symbol.frame[k].function[0] == 0);
		symbol_unref(made);
		/* What was taken is put the same. */
		CLEANUP_BUF struct buf out = BUF_INIT;
		wire_put_symbol(&out, &symbol);
		CHECK(!buf_error(&out) && !memcmp(out.data, at - out.len, out.len));
	}
}

/* Answers are packets that the parent takes. */
static int take_answer(void *ctx, const void *packet, size_t n)
{
	const uint8_t *at = packet;
	struct wire_head head;

	CHECK(n <= WIRE_PACKET_MAX && wire_take_head(&at, &n, &head));
	++*(unsigned *)ctx;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answerer *answerer;
	unsigned answers = 0;

	read_answer(data, size);
	CHECK(!answerer_new(take_answer, &answers, &answerer));
	/* Without files: what libdw makes of these is not ours. */
	int r = answerer_take(answerer, data, size, -1);
	CHECK(r <= 0 && answers <= 1);
	answerer_free(answerer);
	return 0;
}
