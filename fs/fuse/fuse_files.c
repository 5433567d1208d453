/* SPDX-License-Identifier: MIT */
/*
 * Content. Numbers and settings come from snapshots; a table is rendered at its open; streams block. A write
 * may wait (for the collector), so it is parked and answered from another thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/fuse/fuse_door.h"
#include "fs/fuse/keep.h"

static bool place_of(fuse_req_t req, fuse_ino_t ino, struct place *ret)
{
	if (tree_place(door_of(req)->doors->tree, ino, ret))
		return true;
	fuse_reply_err(req, ESTALE);
	return false;
}

static void answer_number(fuse_req_t req, const struct place *place, size_t size, off_t offset)
{
	struct doors *doors = door_of(req)->doors;
	char bytes[KEEP_LARGE_BYTES];
	size_t len;
	int r = snapshot_read(doors->snapshots, place, (size_t)offset,
		size < sizeof(bytes) ? size : sizeof(bytes), bytes, &len);

	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, bytes, len);
}

/* A read that must wait until a new length is known, see snapshot_park. */
struct read_job {
	fuse_req_t req;
	struct place place;
	size_t size;
	off_t offset;
};

static void run_read(void *ctx)
{
	static const struct timespec moment = { .tv_nsec = 200000 };
	struct read_job *job = ctx;
	struct snapshots *snapshots = door_of(job->req)->doors->snapshots;

	while (!snapshot_settled(snapshots, &job->place))
		nanosleep(&moment, NULL);
	answer_number(job->req, &job->place, job->size, job->offset);
	snapshot_unpark(snapshots, &job->place);
	free(job);
}

static void read_number(fuse_req_t req, const struct place *place, size_t size, off_t offset)
{
	struct doors *doors = door_of(req)->doors;
	struct read_job *job;

	if (snapshot_park(doors->snapshots, place, fuse_req_ctx(req)->pid)) {
		job = malloc(sizeof(*job));
		if (job) {
			*job = (struct read_job) { req, *place, size, offset };
			if (!parking_submit(doors->parking, PARKING_BRIEF, run_read, job))
				return;
			free(job);
		}
		snapshot_unpark(doors->snapshots, place);
	}
	answer_number(req, place, size, offset);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct doors *doors = door_of(req)->doors;
	struct place place;

	if (!place_of(req, ino, &place))
		return;
	enum node_class class = tree_node(doors->tree, &place)->class;
	if (class == NODE_NUMBER || class == NODE_SETTING) {
		read_number(req, &place, size, offset);
	} else if (class == NODE_STREAM) {
		struct keep_open *slot = opens_get(doors->opens, fi->fh);
		if (slot)
			streams_read(doors->streams, req, slot, size, fi->flags & O_NONBLOCK);
		else
			fuse_reply_err(req, ESTALE);
	} else if ((tree_node(doors->tree, &place)->guarded || tree_node(doors->tree, &place)->unshared) &&
		   door_current(doors)->for_pages) {
		/* What programs take for "read it, then". */
		fuse_reply_err(req, EINVAL);
	} else {
		const char *bytes;
		size_t len;
		int r = opens_read(doors->opens, fi->fh, (size_t)offset, size, &bytes, &len);
		if (r)
			fuse_reply_err(req, -r);
		else
			fuse_reply_buf(req, bytes, len);
	}
}

static int open_snapshot(fuse_req_t req, const struct place *place, uint64_t *ret_handle)
{
	struct door *door = door_of(req);
	struct doors *doors = door->doors;
	const struct node *node = tree_node(doors->tree, place);
	const struct door_request *current = door_current(doors);
	struct caller asker = door_caller(req), caller = door_reader(req, place);
	CLEANUP_BUF struct buf text = BUF_INIT;
	uint64_t id = tree_id(place);
	int r = 0;

	if (current->again && opens_find_request(doors->opens, current->unique, id, ret_handle))
		return 0;
	if (!door_may_read(door, &asker, place))
		return -EACCES;
	if (node->class == NODE_TABLE) {
		r = node->render(doors->view, place, &caller, &text);
		if (!r)
			r = buf_error(&text);
		if (r)
			buf_clear(&text);
	}
	/* What went wrong is for read(2) to bring: open(2) does not fail. */
	r = opens_add(doors->opens, current->unique, id, asker.uid, text.data, text.len, -r, ret_handle);
	if (!r)
		opens_remember_length(doors->opens, id, text.len);
	return r;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct doors *doors = door_of(req)->doors;
	struct place place;
	int r = 0;

	if (!place_of(req, ino, &place))
		return;
	enum node_class class = tree_node(doors->tree, &place)->class;
	fi->noflush = 1;
	if (class == NODE_NUMBER || class == NODE_SETTING) {
		fi->keep_cache = 1;
	} else {
		fi->direct_io = 1;
		r = open_snapshot(req, &place, &fi->fh);
		if (!r && class == NODE_STREAM) {
			fi->nonseekable = 1;
			streams_open(doors->streams, opens_get(doors->opens, fi->fh));
		}
	}
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_open(req, fi);
}

/* Answered once a connection: from then on files of the main session need no open. */
static void op_open_none(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct doors *doors = door_of(req)->doors;
	struct place place;

	if (tree_place(doors->tree, ino, &place)) {
		enum node_class class = tree_node(doors->tree, &place)->class;
		if (class == NODE_TABLE || class == NODE_STREAM)
			opens_release(doors->opens, fi->fh);
	}
	fuse_reply_err(req, 0);
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
	struct doors *doors = door_of(req)->doors;
	struct place place;
	struct keep_open *slot = NULL;

	/* Whoever polls is woken by the kernel's number of the file, which outlives this serve; libfuse's
	 * handle would not. */
	if (handle)
		fuse_pollhandle_destroy(handle);
	if (!place_of(req, ino, &place))
		return;
	if (tree_node(doors->tree, &place)->class == NODE_STREAM)
		slot = opens_get(doors->opens, fi->fh);
	if (slot)
		streams_poll(doors->streams, req, slot, handle ? door_current(doors)->poll_handle : 0);
	else
		fuse_reply_poll(req, POLLIN | POLLRDNORM);
}

/* A write that waits in the parking. */
struct write_job {
	fuse_req_t req;
	struct place place;
	atomic_bool cancelled;
	size_t len;
	char text[];
};

static void cancel_write(fuse_req_t req, void *data)
{
	struct write_job *job = data;
	atomic_store(&job->cancelled, true);
}

static void run_write(void *ctx)
{
	struct write_job *job = ctx;
	struct doors *doors = door_of(job->req)->doors;
	const struct node *node = tree_node(doors->tree, &job->place);
	struct caller caller = door_caller(job->req);
	struct err err = { 0 };
	int r = node->write(doors->view, &job->place, &caller, job->text, job->len, &job->cancelled, &err);

	/* From here on an interrupt must not find the job. */
	fuse_req_interrupt_func(job->req, NULL, NULL);
	if (r) {
		err_set(&err, -r, "%s", strerror(-r));
		door_refuse(job->req, &job->place, NULL, job->text, job->len, &err);
	} else {
		fuse_reply_write(job->req, job->len);
	}
	free(job);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t len, off_t offset,
	struct fuse_file_info *fi)
{
	struct doors *doors = door_of(req)->doors;
	struct err err = { 0 };
	struct place place;
	struct write_job *job;

	if (!place_of(req, ino, &place))
		return;
	const struct node *node = tree_node(doors->tree, &place);
	if (!node->write) {
		err_set(&err, EPERM, "%s is no setting: it can only be read",
			node->name ? node->name : node->shown);
		door_refuse(req, &place, NULL, bytes, len, &err);
		return;
	}
	job = malloc(sizeof(*job) + len);
	if (!job) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	*job = (struct write_job) { .req = req, .place = place, .len = len };
	memcpy(job->text, bytes, len);
	fuse_req_interrupt_func(req, cancel_write, job);
	if (parking_submit(doors->parking, door_caller(req).uid, run_write, job)) {
		fuse_req_interrupt_func(req, NULL, NULL);
		free(job);
		err_set(&err, EAGAIN, "too many writes are waiting");
		door_refuse(req, &place, NULL, bytes, len, &err);
	}
}

void door_fill_file_ops(struct fuse_lowlevel_ops *ops, enum door_kind kind)
{
	ops->read = op_read;
	ops->write = op_write;
	ops->open = kind == DOOR_MAIN ? op_open_none : op_open;
	if (kind != DOOR_MAIN) {
		ops->release = op_release;
		ops->poll = op_poll;
	}
}
