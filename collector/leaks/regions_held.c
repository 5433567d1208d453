/* SPDX-License-Identifier: MIT */
/* The link to the supervisor, who holds what we have, for our successor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collector/leaks/regions_inner.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/fd_message.h"
#include "schema/base/log.h"

/* 0, -EAGAIN where the socket is full, or another -errno: nobody will ever read it. */
static int send_message(const struct regions *regions, const struct holding_message *message, int fd)
{
	return fd_message_send(regions->options.holder_fd, NULL, message, sizeof(*message), fd, MSG_DONTWAIT);
}

static int tell(const struct region_state *state)
{
	const struct region *region = state->region;
	const struct holding_message message = {
		.kind = HOLDING_KEEP,
		.note = {
			.inode = region->inode,
			.start_ticks = region->process.start_ticks,
			.image = region->process.image,
			.pid = region->process.pid,
			.uid = region->process.uid,
			.end = region->end,
			.ready = region->ready,
			.end_boot_ns = region->end_boot_ns,
		},
	};

	return send_message(state->regions, &message, state->held == HELD_NOT ? region->fd : -1);
}

static int tell_drops(struct regions *regions)
{
	size_t n = 0;
	int r = 0;

	while (n < regions->n_drops) {
		const struct holding_message message = { .kind = HOLDING_DROP,
			.note.inode = regions->drops[n] };
		if ((r = send_message(regions, &message, -1)))
			break;
		n++;
	}
	regions->n_drops -= n;
	if (regions->n_drops)
		memmove(regions->drops, regions->drops + n, regions->n_drops * sizeof(*regions->drops));
	return r;
}

void regions_hold(struct regions *regions)
{
	struct region_state *state;

	if (regions->options.holder_fd < 0 || tell_drops(regions))
		return;
	if (!regions->hold_due)
		return;
	TAILQ_FOREACH_REVERSE(state, &regions->all, region_list, all)
	{
		if (state->held == HELD || state->released)
			continue;
		if (tell(state))
			return;
		state->held = HELD;
	}
	regions->hold_due = false;
}

void regions_drop(struct regions *regions, uint64_t inode)
{
	if (regions->options.holder_fd < 0)
		return;
	uint64_t *drop = array_push(&regions->drops, &regions->n_drops, &regions->cap_drops);
	if (drop) /* else it is held until the collector's successor finds it ended */
		*drop = inode;
}

static void ask(struct regions *regions, uint32_t place)
{
	const struct holding_message message = { .kind = HOLDING_ASK, .place = place };

	regions->asking = !send_message(regions, &message, -1);
}

void regions_ask_held(struct regions *regions)
{
	if (regions->options.holder_fd >= 0)
		ask(regions, 0);
}

static void send_all_again(struct regions *regions)
{
	struct region_state *state;

	TAILQ_FOREACH(state, &regions->all, all)
	state->held = HELD_NOT;
	regions->hold_due = true;
	log_info("a new supervisor holds the records of programs");
}

/* Takes fd over. */
static void handle(struct regions *regions, const struct holding_message *message, int fd)
{
	struct region_meeting meeting = {
		.pid = message->note.pid, .uid = message->note.uid, .pidfd = -1, .note = &message->note
	};

	switch ((enum holding_kind)message->kind) {
	case HOLDING_GIVE:
		if (fd >= 0)
			regions_meet(regions, steal_fd(&fd), &meeting);
		break;
	case HOLDING_END:
		if (message->place)
			ask(regions, message->place);
		else
			regions->asking = false;
		break;
	case HOLDING_AGAIN:
		send_all_again(regions);
		break;
	case HOLDING_KEEP:
	case HOLDING_DROP:
	case HOLDING_ASK:
		break;
	}
	close_fd(&fd);
}

/* False where nothing is left to read. */
static bool take_one(struct regions *regions)
{
	struct holding_message message;
	int fd = -1;

	ssize_t n = fd_message_receive(regions->options.holder_fd, &message, sizeof(message), &fd);
	if (n <= 0)
		return false;
	if (n == sizeof(message))
		handle(regions, &message, fd);
	else
		close_fd(&fd);
	return true;
}

void regions_take_held(struct regions *regions)
{
	for (int i = 0; i < 2 * HOLDING_BATCH && take_one(regions); i++)
		regions_sweep(regions);
}
