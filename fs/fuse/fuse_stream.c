/* SPDX-License-Identifier: MIT */
/*
 * Streams: readers of `events` that block until the board has news. Their requests are parked here, not in
 * threads; one thread sleeps on the board and answers all of them. Where a reader stands is kept over a
 * serve's death, and a READ that the kernel sends again gets the lines that its first answer would have had.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse/fuse_door.h"
#include "fs/fuse/keep.h"
#include "fs/render.h"
#include "schema/base/clock.h"

enum { WAKE_MS = 1000 };

struct parked {
	struct parked *next;
	fuse_req_t req;
	struct keep_open *slot;
	size_t size;
	uint64_t unique;
};

struct streams {
	struct doors *doors;
	pthread_mutex_t lock;
	struct parked *parked;
	atomic_bool polled; /* some open stream may have somebody to wake */
};

int streams_new(struct doors *doors, struct streams **ret)
{
	struct streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	streams->doors = doors;
	streams->polled = true; /* a predecessor may have left somebody */
	pthread_mutex_init(&streams->lock, NULL);
	*ret = streams;
	return 0;
}

/* The line of news `seq`, or one that says how many were overwritten; stores what comes after it. */
static bool put_line(
	const struct board *board, struct buf *out, uint64_t seq, uint64_t head, uint64_t *ret_next)
{
	struct board_news news;

	if (board_read_news(board, seq, &news) == BOARD_FOUND) {
		char subject[BOARD_NEWS_SUBJECT];
		render_event(out, seq, news.time_ns, board_news_kind_name[news.kind],
			board_news_subject(&news, subject), news.text);
		*ret_next = seq + 1;
		return true;
	}
	if (seq > head)
		return false;
	/* Overwritten before it was read: go on in the middle of what is there, so that the next read keeps
	 * ahead. */
	uint64_t next = head > BOARD_NEWS / 2 ? head - BOARD_NEWS / 2 : 1;
	if (next <= seq)
		next = seq + 1;
	char text[80];
	snprintf(text, sizeof(text), "%llu events were overwritten before they were read",
		(unsigned long long)(next - seq));
	render_event(out, next - 1, clock_realtime_ns(), board_news_kind_name[NEWS_DROPPED], "node", text);
	*ret_next = next;
	return true;
}

/* What a reader gets now: whole lines, unless not even one fits. Moves the slot on. */
static void gather(
	struct streams *streams, struct keep_open *slot, uint64_t unique, size_t size, struct buf *out)
{
	const struct board *board = streams->doors->view->board;
	uint64_t head = board_news_head(board);

	if (slot->read_unique == unique) {
		slot->next_seq = slot->read_seq;
		slot->next_skip = slot->read_skip;
	} else {
		slot->read_unique = 0;
		slot->read_seq = slot->next_seq;
		slot->read_skip = slot->next_skip;
		slot->read_unique = unique;
	}
	uint64_t seq = slot->next_seq, skip = slot->next_skip, next;
	while (out->len < size) {
		char text[BOARD_NEWS_TEXT + BOARD_NEWS_SUBJECT + 128];
		struct buf line = BUF_FIXED(text);
		if (!put_line(board, &line, seq, head, &next))
			break;
		size_t left = line.len > skip ? line.len - skip : 0, room = size - out->len;
		if (left > room && out->len)
			break;
		size_t n = left < room ? left : room;
		buf_put(out, line.data + (line.len - left), n);
		if (n < left) {
			skip += n;
			break;
		}
		seq = next;
		skip = 0;
	}
	slot->next_seq = seq;
	slot->next_skip = skip;
}

static void interrupt_read(fuse_req_t req, void *data)
{
	struct streams *streams = data;
	struct parked *found = NULL;

	pthread_mutex_lock(&streams->lock);
	for (struct parked **at = &streams->parked; *at; at = &(*at)->next) {
		if ((*at)->req == req) {
			found = *at;
			*at = found->next;
			break;
		}
	}
	pthread_mutex_unlock(&streams->lock);
	if (found) {
		fuse_reply_err(req, EINTR);
		free(found);
	}
}

void streams_read(
	struct streams *streams, fuse_req_t req, struct keep_open *slot, size_t size, bool nonblocking)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	uint64_t unique = door_current(streams->doors)->unique;
	struct parked *parked = calloc(1, sizeof(*parked));
	int error = nonblocking ? EAGAIN : parked ? EINTR : ENOMEM;

	/* Before the request can be found by the thread that answers; libfuse's lock is outside of ours. */
	fuse_req_interrupt_func(req, interrupt_read, streams);
	pthread_mutex_lock(&streams->lock);
	gather(streams, slot, unique, size, &text);
	if (!text.len && !nonblocking && parked && !fuse_req_interrupted(req)) {
		*parked = (struct parked) {
			.next = streams->parked, .req = req, .slot = slot, .size = size, .unique = unique
		};
		streams->parked = parked;
		pthread_mutex_unlock(&streams->lock);
		return;
	}
	pthread_mutex_unlock(&streams->lock);
	free(parked);
	fuse_req_interrupt_func(req, NULL, NULL);
	if (text.len)
		fuse_reply_buf(req, text.data, text.len);
	else
		fuse_reply_err(req, error);
}

void streams_open(struct streams *streams, struct keep_open *slot)
{
	/* New events only; one that was sent again keeps its place. */
	if (slot && !slot->next_seq)
		slot->next_seq = board_news_head(streams->doors->view->board) + 1;
}

void streams_poll(struct streams *streams, fuse_req_t req, struct keep_open *slot, uint64_t poll_handle)
{
	bool ready;

	/* First the handle, then the look: news in between wakes once too often, never once too little. */
	if (poll_handle) {
		atomic_store(&slot->poll_handle, poll_handle);
		atomic_store(&streams->polled, true);
	}
	ready = board_news_head(streams->doors->view->board) >= slot->next_seq;
	fuse_reply_poll(req, ready ? POLLIN | POLLRDNORM : 0);
}

static void wake_poller(void *ctx, struct keep_open *slot)
{
	struct streams *streams = ctx;
	struct doors *doors = streams->doors;
	int fd = doors->main.kind == DOOR_SINGLE ? doors->main.fd : doors->live.fd;

	if (!slot->next_seq || board_news_head(doors->view->board) < slot->next_seq) {
		if (slot->poll_handle)
			atomic_store(&streams->polled, true);
		return;
	}
	uint64_t handle = atomic_exchange(&slot->poll_handle, 0);
	if (!handle)
		return;
	struct fuse_notify_poll_wakeup_out body = { .kh = handle };
	struct fuse_out_header head = { .len = sizeof(head) + sizeof(body), .error = FUSE_NOTIFY_POLL };
	struct iovec iov[] = { { &head, sizeof(head) }, { &body, sizeof(body) } };
	if (writev(fd, iov, 2) < 0) {
		/* The file was closed meanwhile. */
	}
}

/* Answers every parked reader that has news. */
static void answer_parked(struct streams *streams)
{
	struct parked *ready = NULL;

	pthread_mutex_lock(&streams->lock);
	for (struct parked **at = &streams->parked; *at;) {
		struct parked *parked = *at;
		if (board_news_head(streams->doors->view->board) < parked->slot->next_seq) {
			at = &parked->next;
			continue;
		}
		*at = parked->next;
		parked->next = ready;
		ready = parked;
	}
	pthread_mutex_unlock(&streams->lock);
	while (ready) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		struct parked *parked = ready;
		ready = parked->next;
		fuse_req_interrupt_func(parked->req, NULL, NULL);
		pthread_mutex_lock(&streams->lock);
		gather(streams, parked->slot, parked->unique, parked->size, &text);
		pthread_mutex_unlock(&streams->lock);
		fuse_reply_buf(parked->req, text.data, text.len);
		free(parked);
	}
}

static void *watch_news(void *ctx)
{
	struct streams *streams = ctx;
	const struct board *board = streams->doors->view->board;
	uint64_t seen = 0;

	for (;;) {
		answer_parked(streams);
		if (atomic_exchange(&streams->polled, false))
			opens_each(streams->doors->opens, wake_poller, streams);
		opens_tidy(streams->doors->opens);
		board_wait_news(board, seen, WAKE_MS);
		seen = board_news_head(board);
	}
	return NULL;
}

int streams_start(struct streams *streams)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, watch_news, streams);

	if (!r)
		pthread_detach(thread);
	return -r;
}
