/* SPDX-License-Identifier: MIT */
#include "fs/view.h"

#include <errno.h>

#include "schema/base/clock.h"
#include "schema/store/store.h"

int64_t view_board_age_ns(struct view *view)
{
	struct board_health health;

	if (board_read_health(view->board, &health) || !health.tick_ns)
		return INT64_MAX;
	int64_t age = clock_monotonic_ns() - health.tick_ns;
	return age > 0 ? age : 0;
}

bool view_collector_runs(struct view *view)
{
	struct board_health health;

	if (board_read_health(view->board, &health) || !health.tick_ns)
		return false;
	return clock_monotonic_ns() - health.tick_ns <
	       (int64_t)health.interval_ms * 3000000 + INT64_C(2000000000);
}

static int read_stat(int pid_fd, struct pid_stat *ret)
{
	char text[1024];
	size_t len;
	int r = proc_read_short(pid_fd, "stat", text, sizeof(text), &len);

	if (!r && !pid_stat_parse(ret, text, len))
		r = PROC_GONE;
	return r;
}

void view_close_process(struct process *process)
{
	if (process->numbers != process->dir)
		cleanup_close(&process->numbers);
	cleanup_close(&process->dir);
	*process = PROCESS_INIT;
}

int view_open_process(struct view *view, const struct place *place, struct process *ret)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	int r = proc_open_pid(&view->root, place->pid, &process.dir);

	if (!r)
		r = read_stat(process.dir, &process.stat);
	if (r)
		return r == PROC_GONE ? -ESRCH : r;
	if (!place_started(place, process.stat.start_ticks))
		return -ESRCH;
	process.numbers = process.dir;
	if (pid_stat_ended(process.stat.state) && process.stat.threads > 1 &&
		proc_open_living_thread(process.dir, &process.numbers))
		process.numbers = process.dir;
	*ret = process;
	process = PROCESS_INIT;
	return 0;
}

int view_find_process(struct view *view, uint32_t pid, uint32_t *ret_start_ticks)
{
	CLEANUP_CLOSE int fd = -1;
	struct pid_stat stat;
	int r = proc_open_pid(&view->root, pid, &fd);

	if (!r)
		r = read_stat(fd, &stat);
	if (r)
		return r == PROC_GONE ? -ENOENT : r;
	*ret_start_ticks = (uint32_t)stat.start_ticks;
	return 0;
}

uint32_t view_next_pid(struct view *view, uint32_t after)
{
	uint32_t pid = 0;

	if (view_collector_runs(view))
		return board_next_pid(view->board, after + 1);
	pthread_mutex_lock(&view->pids_lock);
	if (!after)
		proc_list_pids(&view->root, &view->pids);
	for (size_t low = 0, high = view->pids.n; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (view->pids.pid[middle] > after) {
			pid = view->pids.pid[middle];
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	pthread_mutex_unlock(&view->pids_lock);
	return pid;
}

bool view_board_process(struct view *view, const struct place *place, struct board_process *ret)
{
	return board_read_process(view->board, place->pid, ret) == BOARD_FOUND &&
	       place_started(place, ret->start_ticks);
}

struct store *view_borrow_store(struct view *view)
{
	pthread_mutex_lock(&view->store_lock);
	if (!view->store)
		store_open_reader(view->state_dir, &view->store, NULL);
	/* The collector may have set the database aside since: a snapshot that cannot begin means to open
	 * anew. */
	if (view->store && store_snapshot_begin(view->store)) {
		store_close(view->store);
		view->store = NULL;
		if (!store_open_reader(view->state_dir, &view->store, NULL) &&
			store_snapshot_begin(view->store)) {
			store_close(view->store);
			view->store = NULL;
		}
	}
	return view->store;
}

void view_return_store(struct view *view, struct store *store)
{
	if (store)
		store_snapshot_end(store);
	pthread_mutex_unlock(&view->store_lock);
}
