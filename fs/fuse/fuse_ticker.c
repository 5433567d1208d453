/* SPDX-License-Identifier: MIT */
/*
 * The ticker keeps the promise that no number is older than freshness_ms: it tells the kernel to drop what
 * was handed out, and names and listings that births and deaths made wrong. A thread of its own, for a
 * notification may wait for a request that only another thread can answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/fuse/fuse_door.h"
#include "fs/fuse/keep.h"
#include "fs/nodes/nodes.h"
#include "schema/base/clock.h"
#include "schema/base/num.h"

enum {
	REPEATS = 4,           /* of an invalidation that raced with a request */
	EVENTS_A_TICK = 20000, /* so that a storm of forks does not keep numbers waiting */
	RECENT_MAX = 4096, /* deaths told of once more: an answer under way may have brought the name back */
	LISTS_MAX = 16,
	OWN_LISTING_NS = 1000000000,
	SILENT_NS = 2000000000,
};

struct ticker {
	struct doors *doors;
	struct place node_dir; /* nodes/NODE, whose children are pids */
	uint16_t process_row;
	/* Directories like nodes/NODE/by-name, whose entries expire by themselves, but not the listing. */
	struct place expiring_dir[LISTS_MAX];
	size_t n_expiring;
	size_t n_recent;
	uint32_t recent[RECENT_MAX];
	struct proc_pids before, now; /* our own listings, while no collector makes any */
	int64_t listed_ns;
	uint64_t warm[SNAPSHOT_WARM_MAX];
};

static void invalidate_inode(struct ticker *ticker, uint64_t id)
{
	fuse_lowlevel_notify_inval_inode(ticker->doors->main.session, id, 0, 0);
}

static void invalidate_pid(struct ticker *ticker, uint32_t pid)
{
	char name[NUM_TEXT_MAX];
	size_t n = num_format_u64(name, pid);

	name[n] = 0;
	door_forget_pid(ticker->doors, pid);
	fuse_lowlevel_notify_inval_entry(ticker->doors->main.session, tree_id(&ticker->node_dir), name, n);
}

static void invalidate_listing(struct ticker *ticker)
{
	invalidate_inode(ticker, tree_id(&ticker->node_dir));
	for (size_t i = 0; i < ticker->n_expiring; i++)
		invalidate_inode(ticker, tree_id(&ticker->expiring_dir[i]));
}

static void invalidate_warm(struct ticker *ticker)
{
	struct snapshots *snapshots = ticker->doors->snapshots;
	size_t n = snapshots_take_warm(snapshots, ticker->warm);

	for (size_t i = 0; i < n; i++) {
		/* Handed out again while the kernel dropped it: what it has now is as old. */
		for (int tries = 0; tries < REPEATS; tries++) {
			invalidate_inode(ticker, ticker->warm[i]);
			if (snapshot_invalidated(snapshots, ticker->warm[i]))
				break;
		}
	}
}

static void invalidate_owner(struct ticker *ticker, const struct board_event *event)
{
	struct place place = ticker->node_dir;

	place.row = ticker->process_row;
	place.pid = event->pid;
	place.start_ticks = (uint32_t)event->start_ticks;
	invalidate_inode(ticker, tree_id(&place));
}

static void remember(struct ticker *ticker, uint32_t pid)
{
	if (ticker->n_recent < RECENT_MAX)
		ticker->recent[ticker->n_recent++] = pid;
}

/* Events were overwritten before they were seen here: every name may be wrong. */
static void invalidate_all_pids(struct ticker *ticker)
{
	for (uint32_t pid = 1; pid <= ticker->doors->view->pid_max; pid++)
		invalidate_pid(ticker, pid);
}

static void follow_board(struct ticker *ticker)
{
	struct keep *keep = ticker->doors->keep;
	const struct board *board = ticker->doors->view->board;
	uint64_t seq = keep->board_seq, head = board_event_head(board);
	bool changed = false;
	struct board_event event;

	for (size_t i = 0; i < ticker->n_recent; i++)
		invalidate_pid(ticker, ticker->recent[i]);
	ticker->n_recent = 0;
	for (int n = 0; n < EVENTS_A_TICK && seq < head; n++, seq++) {
		enum board_outcome outcome = board_read_event(board, seq, &event);
		if (outcome == BOARD_ABSENT)
			break;
		if (outcome == BOARD_BUSY) {
			invalidate_all_pids(ticker);
			seq = head;
			changed = true;
			break;
		}
		if (event.kind == BOARD_BIRTH || event.kind == BOARD_DEATH) {
			invalidate_pid(ticker, event.pid);
			remember(ticker, event.pid);
		} else if (event.kind != BOARD_CGROUP) {
			invalidate_owner(ticker, &event);
		}
		changed = true;
	}
	if (changed)
		invalidate_listing(ticker);
	keep->board_seq = seq;
}

/* The first listing of our own is held against the last one published: who ended in between is told by
 * nobody. */
static void forget_ended(struct ticker *ticker)
{
	const struct board *board = ticker->doors->view->board;
	size_t i = 0;

	for (uint32_t pid = 0; (pid = board_next_pid(board, pid + 1));) {
		while (i < ticker->now.n && ticker->now.pid[i] < pid)
			i++;
		if (i == ticker->now.n || ticker->now.pid[i] != pid)
			invalidate_pid(ticker, pid);
	}
}

/* Nobody publishes births and deaths: compare two listings of our own. */
static void follow_proc(struct ticker *ticker)
{
	struct proc_pids swap = ticker->before;
	bool changed = false;
	size_t i = 0, j = 0;

	ticker->before = ticker->now;
	ticker->now = swap;
	if (proc_list_pids(&ticker->doors->view->root, &ticker->now))
		return;
	if (!ticker->before.n)
		forget_ended(ticker);
	while (i < ticker->before.n || j < ticker->now.n) {
		uint32_t old = i < ticker->before.n ? ticker->before.pid[i] : UINT32_MAX;
		uint32_t new = j < ticker->now.n ? ticker->now.pid[j] : UINT32_MAX;
		if (old < new)
			invalidate_pid(ticker, old);
		changed |= old != new;
		i += old <= new;
		j += new <= old;
	}
	if (changed)
		invalidate_listing(ticker);
}

static void adopt_settings(struct ticker *ticker)
{
	struct view *view = ticker->doors->view;
	struct settings settings;

	if (!board_read_settings(view->board, &settings))
		view->freshness_ms = (unsigned)settings.value[SETTING_FRESHNESS_MS];
}

static void *tick(void *ctx)
{
	struct ticker *ticker = ctx;
	struct view *view = ticker->doors->view;

	for (;;) {
		int64_t now = clock_monotonic_ns();

		invalidate_warm(ticker);
		follow_board(ticker);
		if (view_board_age_ns(view) > SILENT_NS && now - ticker->listed_ns >= OWN_LISTING_NS) {
			follow_proc(ticker);
			ticker->listed_ns = now;
		}
		adopt_settings(ticker);
		/* A little before the bound, for the invalidations themselves take time. */
		int64_t period = (int64_t)view->freshness_ms * 800000;
		struct timespec wait = { period / 1000000000, period % 1000000000 };
		nanosleep(&wait, NULL);
	}
	return NULL;
}

/* The places whose listings change with births and deaths; false where the tree has no processes, or too many
 * others. */
static bool find_places(struct ticker *ticker)
{
	const struct tree *tree = ticker->doors->tree;

	for (uint16_t row = 1; row < tree->n; row++) {
		const struct node *node = tree->row[row].node;
		const struct place dir = { .row = tree->row[row].parent, .name = PLACE_NO_NAME };
		if (node->list == &process_list) {
			ticker->process_row = row;
			ticker->node_dir = dir;
		} else if (node->list && node->list->entry_timeout_ms) {
			if (ticker->n_expiring == LISTS_MAX)
				return false;
			ticker->expiring_dir[ticker->n_expiring++] = dir;
		}
	}
	return ticker->process_row;
}

int ticker_new(struct doors *doors, struct ticker **ret)
{
	struct ticker *ticker = calloc(1, sizeof(*ticker));

	if (!ticker)
		return -ENOMEM;
	ticker->doors = doors;
	if (!find_places(ticker)) {
		free(ticker);
		return -EINVAL;
	}
	*ret = ticker;
	return 0;
}

int ticker_start(struct ticker *ticker)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, tick, ticker);

	if (!r)
		pthread_detach(thread);
	return -r;
}
