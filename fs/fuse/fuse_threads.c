/* SPDX-License-Identifier: MIT */
/*
 * The threads of a door. One receives at a time, and goes on while what it receives is answered at once: the
 * kernel would give the next request to the thread that has slept longest, and to wake that one, most often
 * on another CPU, costs more than the answer.
 *
 * A request that may take long is answered while another thread receives; where none is left, one more is
 * started. Some take for ever: a process can keep its mmap lock, and whoever reads its cmdline waits for it
 * in the kernel. So no user has more than a share of the threads: further long requests of theirs wait until
 * one of their own is answered.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fs/fuse/fuse_door.h"
#include "schema/base/clock.h"

/* <linux/fuse.h> has it since Linux 6.9. */
#define UNIQUE_RESEND (UINT64_C(1) << 63)

enum { FDS_RESERVED = 32, FDS_A_THREAD = 4 }; /* descriptors, where few may be had */

struct deferred {
	struct deferred *next;
	uint32_t uid;
	size_t size;
	char bytes[];
};

/* What libfuse does not hand on of a request. */
static void look_at(const struct fuse_buf *buf, struct door_request *request)
{
	const struct fuse_in_header *head = buf->mem;

	*request = (struct door_request) { 0 };
	if (buf->size < sizeof(*head))
		return;
	request->unique = head->unique & ~UNIQUE_RESEND;
	request->again = head->unique & UNIQUE_RESEND;
	/* Only what goes to a reader's memory is asked for in the name of a file's user. */
	if (head->opcode == FUSE_READ && buf->size >= sizeof(*head) + sizeof(struct fuse_read_in)) {
		const struct fuse_read_in *read = (const void *)(head + 1);
		request->for_pages = !(read->read_flags & FUSE_READ_LOCKOWNER);
	}
	if (head->opcode == FUSE_POLL && buf->size >= sizeof(*head) + sizeof(struct fuse_poll_in)) {
		const struct fuse_poll_in *poll = (const void *)(head + 1);
		request->poll_handle = poll->kh;
	}
}

enum duration {
	SHORT,
	LONG,   /* a directory is listed, or searched */
	UNSURE, /* a table is rendered, also to learn its length */
};

static enum duration duration_of(struct door *door, const struct fuse_buf *buf)
{
	const struct fuse_in_header *head = buf->mem;
	const struct tree *tree = door->doors->tree;
	struct place place;

	if (door->kind == DOOR_MAIN || buf->size < sizeof(*head))
		return SHORT;
	switch (head->opcode) {
	case FUSE_LOOKUP:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return LONG;
	case FUSE_OPEN:
	case FUSE_GETATTR:
		return tree_place(tree, head->nodeid, &place) &&
				       tree_node(tree, &place)->class == NODE_TABLE &&
				       (head->opcode == FUSE_OPEN ||
					       opens_last_length(door->doors->opens, tree_id(&place)) < 0)
			       ? UNSURE
			       : SHORT;
	default:
		return SHORT;
	}
}

static uint32_t uid_of(const struct fuse_buf *buf)
{
	return ((const struct fuse_in_header *)buf->mem)->uid;
}

/* The lock is held. */
static bool share_is_used(const struct door *door, uint32_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < door->n_unsure; i++)
		n += door->unsure_uid[i] == uid;
	return n >= (uid ? door->max_threads / 4 : door->max_threads / 2);
}

/* False where the request waits now for another of the same user. */
static bool begin_unsure(struct door *door, const struct fuse_buf *buf)
{
	uint32_t uid = uid_of(buf);
	struct deferred *deferred = NULL;

	pthread_mutex_lock(&door->lock);
	if (share_is_used(door, uid) && (deferred = malloc(sizeof(*deferred) + buf->size))) {
		*deferred = (struct deferred) { .uid = uid, .size = buf->size };
		memcpy(deferred->bytes, buf->mem, buf->size);
		struct deferred **at = &door->deferred;
		while (*at)
			at = &(*at)->next;
		*at = deferred;
	} else if (door->n_unsure < DOOR_THREADS_MAX) {
		door->unsure_uid[door->n_unsure++] = uid;
	}
	pthread_mutex_unlock(&door->lock);
	return !deferred;
}

/* After such a request of a user: the next that waits, which takes its place, or NULL. */
static struct deferred *end_unsure(struct door *door, uint32_t uid)
{
	struct deferred *next = NULL;

	pthread_mutex_lock(&door->lock);
	for (struct deferred **at = &door->deferred; *at && !next; at = &(*at)->next) {
		if ((*at)->uid == uid) {
			next = *at;
			*at = next->next;
			break;
		}
	}
	for (unsigned i = 0; i < door->n_unsure && !next; i++) {
		if (door->unsure_uid[i] == uid) {
			door->unsure_uid[i] = door->unsure_uid[--door->n_unsure];
			break;
		}
	}
	pthread_mutex_unlock(&door->lock);
	return next;
}

static void process_unsure(struct door *door, const struct fuse_buf *buf, struct door_request *request)
{
	uint32_t uid = uid_of(buf);
	struct deferred *next;

	fuse_session_process_buf(door->session, buf);
	while ((next = end_unsure(door, uid))) {
		struct fuse_buf held = { .size = next->size, .mem = next->bytes };
		look_at(&held, request);
		fuse_session_process_buf(door->session, &held);
		free(next);
	}
}

static void process_short(struct door *door, const struct fuse_buf *buf)
{
	atomic_store_explicit(&door->busy_since_ns, clock_monotonic_ns(), memory_order_relaxed);
	fuse_session_process_buf(door->session, buf);
	atomic_store_explicit(&door->busy_since_ns, 0, memory_order_relaxed);
	linger_answered(&door->linger);
}

static void take_turn(struct door *door)
{
	pthread_mutex_lock(&door->lock);
	door->n_waiting++;
	pthread_mutex_unlock(&door->lock);
	pthread_mutex_lock(&door->turn);
	pthread_mutex_lock(&door->lock);
	door->n_waiting--;
	pthread_mutex_unlock(&door->lock);
}

/* Lets another thread receive; where no thread can be had, all wait until this one is done. */
static void pass_turn(struct door *door)
{
	pthread_mutex_lock(&door->lock);
	bool alone = !door->n_waiting && door->n_threads < door->max_threads;
	pthread_mutex_unlock(&door->lock);
	if (alone)
		door_start_threads(door, 1);
	pthread_mutex_unlock(&door->turn);
}

static void *serve_requests(void *ctx)
{
	struct door *door = ctx;
	struct fuse_buf buf = { 0 };
	struct door_request request;

	pthread_setspecific(door->doors->request_key, &request);
	take_turn(door);
	while (!fuse_session_exited(door->session)) {
		linger_for(&door->linger, fuse_session_fd(door->session));
		int r = fuse_session_receive_buf(door->session, &buf);
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r <= 0)
			break;
		linger_received(&door->linger);
		look_at(&buf, &request);
		enum duration duration = duration_of(door, &buf);
		if (duration == SHORT) {
			process_short(door, &buf);
		} else if (duration == LONG || begin_unsure(door, &buf)) {
			pass_turn(door);
			if (duration == LONG)
				fuse_session_process_buf(door->session, &buf);
			else
				process_unsure(door, &buf, &request);
			take_turn(door);
		}
	}
	pthread_mutex_unlock(&door->turn);
	free(buf.mem);
	if (door->kind == DOOR_LIVE)
		atomic_store(&door->doors->view->live_lost, true);
	sem_post(&door->ended);
	return NULL;
}

void door_init_threads(struct door *door)
{
	struct rlimit limit;

	pthread_mutex_init(&door->turn, NULL);
	pthread_mutex_init(&door->lock, NULL);
	sem_init(&door->ended, 0, 0);
	linger_init(&door->linger);
	door->max_threads = DOOR_THREADS_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &limit) &&
		limit.rlim_cur < FDS_RESERVED + DOOR_THREADS_MAX * FDS_A_THREAD)
		door->max_threads = limit.rlim_cur < FDS_RESERVED + DOOR_THREADS * FDS_A_THREAD
					    ? DOOR_THREADS
					    : (unsigned)(limit.rlim_cur - FDS_RESERVED) / FDS_A_THREAD;
}

int door_start_threads(struct door *door, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; i < n && !r; i++) {
		pthread_t thread;
		r = pthread_create(&thread, NULL, serve_requests, door);
		if (r)
			break;
		pthread_detach(thread);
		pthread_mutex_lock(&door->lock);
		door->n_threads++;
		pthread_mutex_unlock(&door->lock);
	}
	return -r;
}
