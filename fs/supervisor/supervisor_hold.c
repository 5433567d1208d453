/* SPDX-License-Identifier: MIT */
/*
 * Duplicates of shadow regions (schema/holding.h), held for the next collector. They are not looked into:
 * they are a stranger's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/supervisor/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/fd_message.h"
#include "schema/base/log.h"
#include "schema/holding.h"

enum { MESSAGES_TURN = 256 };

struct held {
	int fd; /* -1: the place is free */
	struct holding_note note;
};

struct holdings {
	struct held held[HOLDING_MAX];
	uint32_t places; /* that were ever used */
	uint32_t n;
};

int hold_init(struct supervisor *supervisor)
{
	struct rlimit limit;

	supervisor->holdings = calloc(1, sizeof(*supervisor->holdings));
	if (!supervisor->holdings)
		return -ENOMEM;
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	return 0;
}

void hold_deinit(struct supervisor *supervisor)
{
	struct holdings *holdings = supervisor->holdings;

	for (uint32_t i = 0; holdings && i < holdings->places; i++)
		close_fd(&holdings->held[i].fd);
	free(holdings);
	supervisor->holdings = NULL;
}

static struct held *find(struct holdings *holdings, uint64_t inode)
{
	for (uint32_t i = 0; i < holdings->places; i++) {
		if (holdings->held[i].fd >= 0 && holdings->held[i].note.inode == inode)
			return &holdings->held[i];
	}
	return NULL;
}

static struct held *find_free(struct holdings *holdings)
{
	for (uint32_t i = 0; i < holdings->places; i++) {
		if (holdings->held[i].fd < 0)
			return &holdings->held[i];
	}
	return holdings->places < HOLDING_MAX ? &holdings->held[holdings->places++] : NULL;
}

/* Takes fd over. */
static void keep(struct holdings *holdings, const struct holding_note *note, int fd)
{
	CLEANUP_CLOSE int owned = fd;
	struct held *held = note->inode ? find(holdings, note->inode) : NULL;

	if (held) {
		held->note = *note;
		return;
	}
	if (fd < 0 || !note->inode)
		return;
	held = find_free(holdings);
	if (!held) {
		log_warning("no room to hold the records of pid=%u", note->pid);
		return;
	}
	*held = (struct held) { steal_fd(&owned), *note };
	holdings->n++;
}

static void drop(struct holdings *holdings, uint64_t inode)
{
	struct held *held = inode ? find(holdings, inode) : NULL;

	if (!held)
		return;
	close_fd(&held->fd);
	holdings->n--;
}

/* False where the socket takes no more; a batch is smaller than it. */
static bool send_message(int link, const struct holding_message *message, int fd)
{
	return !fd_message_send(link, NULL, message, sizeof(*message), fd, MSG_DONTWAIT);
}

static void give(const struct supervisor *supervisor, uint32_t place)
{
	const struct holdings *holdings = supervisor->holdings;
	struct holding_message end = { .kind = HOLDING_END };
	unsigned given = 0;

	for (; place < holdings->places && given < HOLDING_BATCH; place++) {
		const struct held *held = &holdings->held[place];
		const struct holding_message message = {
			.kind = HOLDING_GIVE, .place = place, .note = held->note
		};
		if (held->fd < 0)
			continue;
		if (!send_message(supervisor->hold_fd, &message, held->fd))
			log_warning("the records of pid=%u cannot be given on: %s", held->note.pid,
				strerror(errno));
		given++;
	}
	end.place = place < holdings->places ? place : 0;
	send_message(supervisor->hold_fd, &end, -1);
}

/* Takes fd over. */
static void handle(struct supervisor *supervisor, const struct holding_message *message, int fd)
{
	CLEANUP_CLOSE int owned = fd;

	switch ((enum holding_kind)message->kind) {
	case HOLDING_KEEP:
		keep(supervisor->holdings, &message->note, steal_fd(&owned));
		break;
	case HOLDING_DROP:
		drop(supervisor->holdings, message->note.inode);
		break;
	case HOLDING_ASK:
		give(supervisor, message->place);
		break;
	case HOLDING_GIVE:
	case HOLDING_END:
	case HOLDING_AGAIN:
		break;
	}
}

/* False where nothing is left. *ret_over: nor will there ever be. */
static bool take_one(struct supervisor *supervisor, bool *ret_over)
{
	struct holding_message message;
	int fd = -1;

	ssize_t n = fd_message_receive(supervisor->hold_fd, &message, sizeof(message), &fd);
	if (n <= 0) {
		*ret_over = n != -EAGAIN;
		return false;
	}
	if (n == sizeof(message))
		handle(supervisor, &message, fd);
	else
		close_fd(&fd);
	return true;
}

void hold_take(struct supervisor *supervisor)
{
	bool over = false;

	for (int i = 0; i < MESSAGES_TURN && take_one(supervisor, &over); i++) {
	}
	if (over)
		close_fd(&supervisor->hold_fd);
}

int hold_link(struct supervisor *supervisor, int *ret_theirs)
{
	int ends[2];
	bool over = false;

	/* What the last collector gave before it died is not lost with its link. */
	while (supervisor->hold_fd >= 0 && take_one(supervisor, &over)) {
	}
	close_fd(&supervisor->hold_fd);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	supervisor->hold_fd = ends[0];
	*ret_theirs = ends[1];
	return 0;
}

void hold_ask_again(struct supervisor *supervisor)
{
	const struct holding_message message = { .kind = HOLDING_AGAIN };

	send_message(supervisor->hold_fd, &message, -1);
}
