/* SPDX-License-Identifier: MIT */
#include "fs/serve.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/control_client.h"
#include "fs/fuse/fuse.h"
#include "fs/groups.h"
#include "fs/fuse/keep.h"
#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "fs/nudge.h"
#include "fs/options.h"
#include "fs/refusals.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "schema/base/kv.h"
#include "schema/base/log.h"
#include "schema/base/num.h"

enum { STUCK_S = 5 };

struct serve {
	struct options options;
	struct tree tree;
	struct view view;
	struct keep *keep;
	struct board *board;
	struct doors *doors;
	struct buf init[2];
	char live_dir[4096];
	char socket_path[4096];
};

static int read_init(struct buf init[2])
{
	off_t at = 0;

	for (int i = 0; i < 2; i++) {
		uint32_t len;
		char *room;
		if (pread(SERVE_FD_INIT, &len, sizeof(len), at) != sizeof(len) ||
			!(room = buf_reserve(&init[i], len)) ||
			pread(SERVE_FD_INIT, room, len, at + (off_t)sizeof(len)) != (ssize_t)len)
			return -EINVAL;
		init[i].len = len;
		at += (off_t)sizeof(len) + len;
	}
	return 0;
}

/* Epoch of the boot: from the clocks on a live machine, from /proc/stat's btime of a captured one. */
static int64_t find_boot_ns(const struct proc_root *root)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span key, value;
	uint64_t seconds;

	if (root->real)
		return clock_realtime_ns() - clock_boottime_ns();
	if (!proc_read(root->proc, "stat", &text)) {
		struct kv_cursor cursor = kv_begin(text.data, text.len);
		while (kv_next(&cursor, &key, &value)) {
			if (span_equals(key, "btime") && num_parse_whole(value.p, value.n, &seconds))
				return (int64_t)seconds * 1000000000;
		}
	}
	return 0;
}

static uint32_t find_pid_max(const struct proc_root *root)
{
	char text[32];
	size_t len;
	uint64_t max;

	if (proc_read_short(root->proc, "sys/kernel/pid_max", text, sizeof(text), &len) ||
		!num_parse_whole(text, len ? len - 1 : 0, &max) || max > BOARD_PIDS)
		return BOARD_PIDS - 1;
	return (uint32_t)max;
}

static int init_view(struct serve *serve)
{
	struct view *view = &serve->view;
	const struct options *options = &serve->options;
	int r;

	view->tree = &serve->tree;
	view->board = serve->board;
	view->mount_dir = options->dir;
	view->live_dir = options->single ? NULL : serve->live_dir;
	view->state_dir = options->state;
	view->freshness_ms = options->freshness_ms ? options->freshness_ms : 100;
	snprintf(view->node_name, sizeof(view->node_name), "%s", options->node);
	snprintf(view->host_name, sizeof(view->host_name), "%s", options->host);
	snprintf(view->node_id, sizeof(view->node_id), "%s", options->id);
	snprintf(serve->live_dir, sizeof(serve->live_dir), "%s/live", options->run);
	snprintf(serve->socket_path, sizeof(serve->socket_path), "%s/control.sock", options->run);
	pthread_mutex_init(&view->store_lock, NULL);
	pthread_mutex_init(&view->pids_lock, NULL);
	if ((r = proc_root_init(&view->root, options->proc)) || (r = names_new(serve->keep, &view->names)) ||
		(r = refusals_new(serve->keep, &view->refusals)) ||
		(r = groups_new(&view->root, view->board, view->names, &view->groups)) ||
		(r = ended_names_new(&view->ended_names)) ||
		(r = control_client_new(serve->socket_path, &view->control)) ||
		(r = nudges_new(view->control, &view->nudges)))
		return r;
	view->boot_ns = find_boot_ns(&view->root);
	view->pid_max = find_pid_max(&view->root);
	cgroup_mounts_find(&view->cgroup_mounts, &view->root);
	return 0;
}

static void send_message(enum serve_message_kind kind)
{
	struct serve_message message = { .kind = kind, .tid = gettid() };
	send(SERVE_FD_LINK, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Stands for the life of this process, see serve.h. */
static void *live(void *ctx)
{
	sem_t *told = ctx;

	send_message(SERVE_LIFE);
	sem_post(told);
	for (;;)
		pause();
	return NULL;
}

static int start_life(void)
{
	pthread_t thread;
	sem_t told;
	int r;

	sem_init(&told, 0, 0);
	r = pthread_create(&thread, NULL, live, &told);
	if (!r) {
		while (sem_wait(&told) && errno == EINTR) {
			/* Again. */
		}
	}
	sem_destroy(&told);
	return -r;
}

/* Waits for the end of the main session, in a thread of its own. */
static void *watch_doors(void *ctx)
{
	struct serve *serve = ctx;

	doors_join(serve->doors);
	send_message(SERVE_UNMOUNTED);
	_exit(EXIT_SUCCESS);
}

/*
 * The first thread answers the supervisor, for as long as the main session does its work. A supervisor that
 * died is no reason to stop: the next one finds this serve and takes its descriptors over.
 */
static void answer_pings(struct serve *serve)
{
	struct serve_message message;

	for (;;) {
		ssize_t n = recv(SERVE_FD_LINK, &message, sizeof(message), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			pause();
		else if (message.kind == SERVE_PING &&
			 doors_busy_ns(serve->doors) < INT64_C(1000000000) * STUCK_S)
			send_message(SERVE_PING);
	}
}

static int start(struct serve *serve)
{
	struct doors_options options = {
		.single = serve->options.single,
		.main_fd = SERVE_FD_MAIN,
		.live_fd = serve->options.single ? -1 : SERVE_FD_LIVE,
		.main_init = &serve->init[0],
		.live_init = &serve->init[1],
		.uid = serve->options.owner_uid,
		.gid = serve->options.owner_gid,
	};
	bool successor;
	int r;

	if ((r = tree_init(&serve->tree, &root_node)) || (r = read_init(serve->init)))
		return r;
	r = keep_map(SERVE_FD_KEEP, serve->tree.fingerprint, &serve->keep);
	if (r)
		return r > 0 ? DOORS_REMOUNT : r;
	successor = atomic_fetch_add(&serve->keep->served, 1);
	if ((r = board_map(SERVE_FD_BOARD, false, &serve->board)) || (r = init_view(serve)))
		return r;
	if (!successor)
		serve->keep->board_seq = board_event_head(serve->board);
	return doors_start(&serve->view, serve->keep, successor, &options, &serve->doors);
}

int serve_main(int argc, char **argv)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	struct err err = { 0 };
	pthread_t thread;

	if (!serve)
		return EXIT_FAILURE;
	prctl(PR_SET_NAME, "memfs-serve");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	serve->options = OPTIONS_INIT;
	for (int i = 0; i < argc; i++) {
		if (options_set(&serve->options, argv[i], &err)) {
			log_error("%s", err.reason);
			return EXIT_FAILURE;
		}
	}
	log_set("memfs-serve", (enum log_level)serve->options.log_level);
	int r = start_life();
	if (!r)
		r = start(serve);
	if (r > 0)
		send_message(SERVE_REMOUNT);
	if (r) {
		log_error("cannot serve: %s", r > 0 ? "the connection cannot be taken over" : strerror(-r));
		return EXIT_FAILURE;
	}
	if (pthread_create(&thread, NULL, watch_doors, serve))
		return EXIT_FAILURE;
	send_message(SERVE_READY);
	answer_pings(serve);
	return 0;
}
