/* SPDX-License-Identifier: MIT */
/*
 * A connection that the supervisor mounted and holds: this serve takes it over, whether it is the first or
 * comes after one that died. libfuse learns what was negotiated from the recorded FUSE_INIT (its reply to a
 * request that the kernel no longer waits for is ignored), and the kernel is asked to send again what the
 * dead one held.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/fuse_door.h"
#include "fs/fuse/keep.h"
#include "schema/base/clock.h"

/* <linux/fuse.h> has it since Linux 6.9. */
enum { NOTIFY_RESEND = 7 };

static void op_init(void *data, struct fuse_conn_info *conn)
{
	struct door *door = data;

	/* Splicing gains nothing at these sizes. */
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
				  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE);
	conn->want |=
		conn->capable & (FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
					FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_NO_OPENDIR_SUPPORT);
	if (door->kind == DOOR_MAIN)
		conn->want |= conn->capable & (FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_CACHE_SYMLINKS);
}

static int take_over(struct door *door, const struct buf *init)
{
	struct fuse_lowlevel_ops ops = { .init = op_init };
	char program[] = "memfs";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	char path[32];
	struct fuse_buf request = { .size = init->len, .mem = init->data };

	door_fill_name_ops(&ops);
	door_fill_file_ops(&ops, door->kind);
	door->session = fuse_session_new(&args, &ops, sizeof(ops), door);
	if (!door->session)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/dev/fd/%d", door->fd);
	if (fuse_session_mount(door->session, path))
		return -EINVAL;
	fuse_session_process_buf(door->session, &request);
	return 0;
}

/* Asks for the requests that a predecessor died with. Kernels before 6.9 cannot. */
static int resend(const struct door *door)
{
	struct fuse_out_header head = { .len = sizeof(head), .error = NOTIFY_RESEND };

	return write(door->fd, &head, sizeof(head)) < 0 ? -errno : 0;
}

static int open_doors(struct doors *doors, const struct doors_options *options)
{
	int r;

	doors->main.kind = options->single ? DOOR_SINGLE : DOOR_MAIN;
	doors->main.fd = options->main_fd;
	doors->live.kind = DOOR_LIVE;
	doors->live.fd = options->live_fd;
	doors->main.doors = doors->live.doors = doors;
	door_init_threads(&doors->main);
	door_init_threads(&doors->live);
	r = take_over(&doors->main, options->main_init);
	if (!r && !options->single)
		r = take_over(&doors->live, options->live_init);
	return r;
}

static int make_parts(struct doors *doors)
{
	int r = -pthread_key_create(&doors->request_key, NULL);

	doors->known_pids = calloc(BOARD_PIDS / 64, sizeof(*doors->known_pids));
	if (!r && !doors->known_pids)
		r = -ENOMEM;
	if (!r)
		r = snapshots_new(doors->keep, doors->tree, doors->view, &doors->snapshots);
	if (!r)
		r = opens_new(doors->keep, &doors->opens);
	if (!r)
		r = parking_new(&doors->parking);
	if (!r)
		r = streams_new(doors, &doors->streams);
	if (!r)
		r = ticker_new(doors, &doors->ticker);
	return r;
}

int doors_start(struct view *view, struct keep *keep, bool successor, const struct doors_options *options,
	struct doors **ret)
{
	struct doors *doors = calloc(1, sizeof(*doors));
	int r;

	if (!doors)
		return -ENOMEM;
	doors->view = view;
	doors->tree = view->tree;
	doors->keep = keep;
	doors->owner_uid = options->uid;
	doors->owner_gid = options->gid;
	r = make_parts(doors);
	if (!r)
		r = open_doors(doors, options);
	if (r)
		return r;
	/* ENOTCONN and ENODEV: unmounted meanwhile, which the threads will find. */
	if (successor &&
		(resend(&doors->main) == -EINVAL || (!options->single && resend(&doors->live) == -EINVAL)))
		return DOORS_REMOUNT;
	r = door_start_threads(&doors->main, options->single ? DOOR_THREADS : 1);
	if (!r && !options->single)
		r = door_start_threads(&doors->live, DOOR_THREADS);
	if (!r)
		r = streams_start(doors->streams);
	if (!r)
		r = ticker_start(doors->ticker);
	*ret = doors;
	return r;
}

int64_t doors_busy_ns(struct doors *doors)
{
	int64_t since = atomic_load_explicit(&doors->main.busy_since_ns, memory_order_relaxed);
	return since ? clock_monotonic_ns() - since : 0;
}

void doors_join(struct doors *doors)
{
	while (sem_wait(&doors->main.ended) && errno == EINTR) {
		/* Again. */
	}
}
