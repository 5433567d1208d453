/* SPDX-License-Identifier: MIT */
/* Past events, and the files that the collector keeps: what is written to them, and the notes among them. */
#include <errno.h>

#include "fs/ask.h"
#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "schema/store/store.h"

int note_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct note_text note;

	if (board_read_note(view->board, control_note((uint32_t)tree_node(view->tree, place)->arg), &note))
		return -ENODATA;
	buf_put(out, note.text, note.len);
	return 0;
}

int kept_write(struct view *view, const struct place *place, const struct caller *caller, const char *text,
	size_t len, const atomic_bool *cancelled, struct err *err)
{
	/*
	 * The kernel cuts a write(2) where it crosses into another page of the file, or into one of the
	 * writer's memory that is not present, and goes on with the rest only if the part was taken: "5" of
	 * "50\n" would be set.
	 */
	if (!len || text[len - 1] != '\n')
		return err_set(err, EINVAL,
			"a write ends with a newline; this may be a part of one, cut by the kernel: open the file anew");
	return ask_write(
		view, (enum control_op)tree_node(view->tree, place)->arg, caller, text, len, cancelled, err);
}

static int put_event(void *ctx, const struct store_event *event)
{
	struct buf *out = ctx;

	render_event(out, event->seq, event->time_ns, event->kind, event->subject, event->text);
	return buf_error(out);
}

int past_events_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct store *store = view_borrow_store(view);
	int r = -ENODATA;

	buf_puts(out, "seq\ttime\tkind\tsubject\ttext\n");
	if (store)
		r = store_each_event(store, put_event, out);
	view_return_store(view, store);
	return r > 0 ? -ENODATA : r;
}
