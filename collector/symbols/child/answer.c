/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/child/image.h"
#include "collector/symbols/child/unwind.h"
#include "schema/base/cleanup.h"

enum { IMAGES_READ_MAX = 48 }; /* whose symbols are in memory */

struct answerer {
	answer_send *send;
	void *ctx;
	struct buf out, texts;
	uint64_t clock;
	unsigned n_read;
	struct space space[WIRE_SPACES];
	struct image image[WIRE_SLOTS];
	/* Questions, aligned. */
	union {
		uint64_t address[WIRE_ADDRESSES_MAX]; /* more than WIRE_FRAMES_MAX */
		struct wire_module module[WIRE_MODULES_MAX];
		struct wire_load load[WIRE_LOADS_MAX];
	};
	struct wire_symbol symbol;
};

int answerer_new(answer_send *send, void *ctx, struct answerer **ret_answerer)
{
	struct answerer *answerer = calloc(1, sizeof(*answerer));

	if (!answerer)
		return -ENOMEM;
	answerer->send = send;
	answerer->ctx = ctx;
	for (size_t i = 0; i < WIRE_SLOTS; i++)
		answerer->image[i].fd = -1;
	elf_version(EV_CURRENT);
	*ret_answerer = answerer;
	return 0;
}

static void close_image(struct answerer *answerer, struct image *image)
{
	answerer->n_read -= image->tried;
	image_deinit(image);
}

void answerer_free(struct answerer *answerer)
{
	if (!answerer)
		return;
	for (size_t i = 0; i < WIRE_SPACES; i++)
		space_deinit(&answerer->space[i]);
	for (size_t i = 0; i < WIRE_SLOTS; i++)
		close_image(answerer, &answerer->image[i]);
	buf_deinit(&answerer->out);
	buf_deinit(&answerer->texts);
	free(answerer);
}

static int send_out(struct answerer *answerer)
{
	int r = buf_error(&answerer->out);
	return r ? r : answerer->send(answerer->ctx, answerer->out.data, answerer->out.len);
}

/* Begins an answer; its count may be set later, by fill_head. */
static void begin(struct answerer *answerer, enum wire_op op, const struct wire_head *question,
	uint32_t number, uint32_t count)
{
	const struct wire_head head = { op, number, count, question->sequence };

	buf_clear(&answerer->out);
	wire_put_head(&answerer->out, &head);
}

static int answer_open(struct answerer *answerer, const struct wire_head *question, int fd)
{
	if (question->number >= WIRE_SLOTS || fd < 0) {
		close_fd(&fd);
		return -EPROTO;
	}
	struct image *image = &answerer->image[question->number];
	close_image(answerer, image);
	struct wire_identity identity;
	unsigned n = image_init(image, fd, &identity, answerer->load);
	begin(answerer, WIRE_OPENED, question, question->number, n);
	buf_put(&answerer->out, &identity, sizeof(identity));
	buf_put(&answerer->out, answerer->load, n * sizeof(answerer->load[0]));
	return send_out(answerer);
}

/* Makes room for the symbols of one more. */
static void forget_oldest(struct answerer *answerer)
{
	struct image *oldest = NULL;

	for (size_t i = 0; i < WIRE_SLOTS; i++) {
		struct image *image = &answerer->image[i];
		if (image->tried && (!oldest || image->used < oldest->used))
			oldest = image;
	}
	if (oldest) {
		image_forget(oldest);
		answerer->n_read--;
	}
}

static int answer_resolve(struct answerer *answerer, const struct wire_head *question)
{
	struct wire_symbol *symbol = &answerer->symbol;
	struct buf *out = &answerer->out;
	uint32_t first = 0;

	if (question->number >= WIRE_SLOTS)
		return -EPROTO;
	struct image *image = &answerer->image[question->number];
	image->used = ++answerer->clock;
	if (!image->tried) {
		if (answerer->n_read == IMAGES_READ_MAX)
			forget_oldest(answerer);
		answerer->n_read++;
	}
	begin(answerer, WIRE_SYMBOLS, question, 0, 0);
	for (uint32_t i = 0; i < question->count; i++) {
		size_t before = out->len;
		image_resolve(image, answerer->address[i], &answerer->texts, symbol);
		wire_put_symbol(out, symbol);
		if (out->len <= WIRE_PACKET_MAX)
			continue;
		/* This one goes into the next packet. */
		struct wire_head head = { WIRE_SYMBOLS, first, i - first, question->sequence };
		memcpy(out->data, &head, sizeof(head));
		out->len = before;
		int r = send_out(answerer);
		if (r)
			return r;
		begin(answerer, WIRE_SYMBOLS, question, 0, 0);
		wire_put_symbol(out, symbol);
		first = i;
	}
	struct wire_head head = { WIRE_SYMBOLS, first, question->count - first, question->sequence };
	if (!buf_error(out))
		memcpy(out->data, &head, sizeof(head));
	return send_out(answerer);
}

static int answer_space(struct answerer *answerer, const struct wire_head *question)
{
	if (question->number >= WIRE_SPACES)
		return -EPROTO;
	struct space *space = &answerer->space[question->number];
	space_deinit(space);
	space_init(space, answerer->module, question->count, answerer->image, WIRE_SLOTS);
	return 0;
}

static int answer_unwind(struct answerer *answerer, const struct wire_head *question, const uint8_t *at)
{
	struct wire_registers registers;
	bool cut;

	if (question->number >= WIRE_SPACES)
		return -EPROTO;
	memcpy(&registers, at, sizeof(registers));
	unsigned n = space_unwind(&answerer->space[question->number], &registers, at + sizeof(registers),
		question->count, answerer->address, &cut);
	begin(answerer, WIRE_STACK, question, cut, n);
	buf_put(&answerer->out, answerer->address, n * sizeof(answerer->address[0]));
	return send_out(answerer);
}

int answerer_take(struct answerer *answerer, const uint8_t *packet, size_t n, int fd)
{
	struct wire_head head;
	int r = -EPROTO;

	if (!wire_take_head(&packet, &n, &head)) {
		close_fd(&fd);
		return r;
	}
	if (head.op == WIRE_OPEN)
		return answer_open(answerer, &head, fd);
	close_fd(&fd);
	switch (head.op) {
	case WIRE_RESOLVE:
		memcpy(answerer->address, packet, n);
		r = answer_resolve(answerer, &head);
		break;
	case WIRE_CLOSE:
		if (head.number < WIRE_SLOTS) {
			close_image(answerer, &answerer->image[head.number]);
			r = 0;
		}
		break;
	case WIRE_SPACE:
		memcpy(answerer->module, packet, n);
		r = answer_space(answerer, &head);
		break;
	case WIRE_UNWIND:
		r = answer_unwind(answerer, &head, packet);
		break;
	default:
		break;
	}
	return r;
}
