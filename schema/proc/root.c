/* SPDX-License-Identifier: MIT */
#include "schema/proc/root.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/num.h"
#include "schema/proc/mountinfo.h"
#include "schema/proc/pid_stat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
	PID_MAX = 4194304, /* PID_MAX_LIMIT of 64-bit kernels */
	READ_CHUNK = 4096,
	PIECE_BYTES = 65536,
	DIRENTS_BYTES = 32768,
	STAT_BYTES = 1024,
};

static int open_at(int at, const char *path, int flags)
{
	int fd;

	do
		fd = openat(at, path, flags | O_CLOEXEC | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static ssize_t read_retrying(int fd, void *out, size_t n)
{
	ssize_t got;

	do
		got = read(fd, out, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int proc_root_init(struct proc_root *root, const char *dir)
{
	int at CLEANUP_CLOSE = open_at(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
	if (at < 0)
		return at;
	int proc CLEANUP_CLOSE = open_at(at, "proc", O_PATH | O_DIRECTORY);
	if (proc < 0)
		return proc;
	int sys CLEANUP_CLOSE = open_at(at, "sys", O_PATH | O_DIRECTORY);
	if (sys < 0 && sys != -ENOENT)
		return sys;
	int etc = open_at(at, "etc", O_PATH | O_DIRECTORY);
	*root = (struct proc_root) {
		.proc = steal_fd(&proc),
		.sys = sys < 0 ? -1 : steal_fd(&sys),
		.etc = etc < 0 ? -1 : etc,
		.real = *dir == '/' && !dir[strspn(dir, "/")],
	};
	return 0;
}

void proc_root_deinit(struct proc_root *root)
{
	close_fd(&root->proc);
	close_fd(&root->sys);
	close_fd(&root->etc);
	*root = PROC_ROOT_INIT;
}

/*
 * Whether `at` is the directory of a process (or thread) that is no more. A dead one still opens and fstats,
 * but finds no name in it; `stat` has been in every kernel, so that its absence tells death from an old
 * kernel. In a captured tree, and in /sys, a directory is gone when it was unlinked.
 */
static bool is_gone(int at)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(at, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		return fstatat(at, "stat", &st, 0) < 0 && (errno == ENOENT || errno == ESRCH);
	return fstat(at, &st) == 0 && st.st_nlink == 0;
}

/* What an errno (negative) below `at` means. */
static int outcome(int at, int r)
{
	return (r == -ENOENT || r == -ESRCH) && is_gone(at) ? PROC_GONE : r;
}

int proc_read(int at, const char *path, struct buf *out)
{
	size_t before = out->len;
	int fd CLEANUP_CLOSE = open_at(at, path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return outcome(at, fd);
	/* Sizes in procfs are 0: only an empty read tells the end, and needs room to be asked for. */
	do {
		char *room = buf_reserve(out, out->fixed ? 1 : READ_CHUNK);
		if (!room) {
			out->len = before;
			return buf_error(out);
		}
		n = read_retrying(fd, room, out->cap - out->len);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0);
	if (n < 0) {
		out->len = before;
		return outcome(at, (int)n);
	}
	return PROC_OK;
}

int proc_read_mounts(struct buf *out)
{
	struct proc_root root;
	int r = proc_root_init(&root, "/");

	if (r)
		return r;
	r = proc_read(root.proc, "self/mountinfo", out);
	proc_root_deinit(&root);
	return r == PROC_GONE ? -ESRCH : r;
}

bool proc_hides_pids(char *ret_how, size_t cap)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span rest, line, value;
	struct mountinfo mount;
	bool hides = false;

	if (proc_read_mounts(&text))
		return false;
	/* The last one mounted there is what is seen. */
	for (rest = (struct span) { text.data, text.len }; span_line(&rest, &line);) {
		if (!mountinfo_parse(line, &mount) || !span_equals(mount.dir, "/proc"))
			continue;
		hides = mountinfo_option(&mount, "hidepid", &value) && !span_equals(value, "0") &&
			!span_equals(value, "off");
		if (hides)
			snprintf(ret_how, cap, "%.*s", (int)value.n, value.p);
	}
	return hides;
}

int proc_read_short(int at, const char *path, char *out, size_t cap, size_t *ret_len)
{
	int fd CLEANUP_CLOSE = open_at(at, path, O_RDONLY);

	if (fd < 0)
		return outcome(at, fd);
	ssize_t n = read_retrying(fd, out, cap);
	if (n < 0)
		return outcome(at, (int)n);
	*ret_len = (size_t)n;
	return PROC_OK;
}

int proc_open_file(int at, const char *path, int flags, int *ret_fd)
{
	int fd = open_at(at, path, flags);

	if (fd < 0)
		return outcome(at, fd);
	*ret_fd = fd;
	return PROC_OK;
}

int proc_read_pieces(int at, int fd, proc_take *take, void *ctx)
{
	struct buf held CLEANUP_BUF = BUF_INIT;
	ssize_t n;

	do {
		/* Asked for as much as there is room: newer kernels fill it, others give a page. */
		char *room = buf_reserve(&held, PIECE_BYTES);
		if (!room)
			return -ENOMEM;
		n = read_retrying(fd, room, PIECE_BYTES);
		if (n < 0)
			return outcome(at, (int)n);
		held.len += (size_t)n;
		ssize_t taken = take(ctx, held.data, held.len, !n);
		if (taken < 0)
			return (int)taken;
		held.len -= (size_t)taken;
		memmove(held.data, held.data + taken, held.len);
	} while (n > 0);
	return PROC_OK;
}

int proc_read_link(int at, const char *path, struct buf *out)
{
	char *room = buf_reserve(out, PATH_MAX);

	if (!room)
		return buf_error(out);
	ssize_t n = readlinkat(at, path, room, PATH_MAX);
	if (n < 0)
		return outcome(at, -errno);
	out->len += (size_t)n;
	return PROC_OK;
}

bool proc_has_file(int at, const char *path)
{
	struct stat st;

	return !fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW);
}

int proc_read_owner(int at, uid_t *ret_uid, gid_t *ret_gid)
{
	struct stat st;

	/* The directory itself shows the effective user of those too that may not be dumped. */
	if (fstatat(at, "stat", &st, 0) < 0)
		return outcome(at, -errno);
	*ret_uid = st.st_uid;
	*ret_gid = st.st_gid;
	return PROC_OK;
}

int proc_open_pid(const struct proc_root *root, uint32_t pid, int *ret_fd)
{
	char name[NUM_TEXT_MAX];

	name[num_format_u64(name, pid)] = '\0';
	int fd = open_at(root->proc, name, O_PATH | O_DIRECTORY);
	if (fd == -ENOENT || fd == -ESRCH)
		return PROC_GONE;
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return PROC_OK;
}

/* Reads the stat of a process or thread. PROC_GONE also where its text makes no sense (a reaper was at work).
 */
static int read_stat(int at, struct pid_stat *ret_stat)
{
	char text[STAT_BYTES];
	size_t len;
	int r = proc_read_short(at, "stat", text, sizeof(text), &len);

	if (r)
		return r;
	return pid_stat_parse(ret_stat, text, len) ? PROC_OK : PROC_GONE;
}

static bool is_pid(const char *name, uint32_t *ret_pid)
{
	uint64_t pid;

	if (*name == '0' || !num_parse_whole(name, strlen(name), &pid) || pid > PID_MAX)
		return false;
	*ret_pid = (uint32_t)pid;
	return true;
}

static int open_thread(int task_fd, const char *tid, int *ret_fd)
{
	int fd CLEANUP_CLOSE = open_at(task_fd, tid, O_PATH | O_DIRECTORY);
	struct pid_stat stat;

	if (fd < 0)
		return fd == -ENOENT || fd == -ESRCH ? PROC_GONE : fd;
	int r = read_stat(fd, &stat);
	if (r)
		return r;
	if (pid_stat_ended(stat.state))
		return PROC_GONE;
	*ret_fd = steal_fd(&fd);
	return PROC_OK;
}

int proc_open_living_thread(int pid_fd, int *ret_fd)
{
	struct pid_stat stat;
	int r = read_stat(pid_fd, &stat);

	if (r)
		return r;
	if (!pid_stat_ended(stat.state)) {
		int fd = fcntl(pid_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		*ret_fd = fd;
		return PROC_OK;
	}
	if (stat.threads <= 1)
		return PROC_GONE;

	int task CLEANUP_CLOSE = open_at(pid_fd, "task", O_RDONLY | O_DIRECTORY);
	if (task < 0)
		return outcome(pid_fd, task);
	DIR *dir CLEANUP_CLOSEDIR = fdopendir(task);
	if (!dir)
		return -errno;
	task = -1; /* the stream's now */
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		uint32_t tid;
		if (!entry)
			return errno && errno != ENOENT && errno != ESRCH ? -errno : PROC_GONE;
		if (!is_pid(entry->d_name, &tid))
			continue;
		r = open_thread(dirfd(dir), entry->d_name, ret_fd);
		if (r != PROC_GONE)
			return r;
	}
}

static int add_pid(struct proc_pids *pids, uint32_t pid)
{
	uint32_t *place = array_push(&pids->pid, &pids->n, &pids->cap);

	if (!place)
		return -ENOMEM;
	*place = pid;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

/* Appends the pids of a directory, and tells whether they ascend: procfs lists them so, a captured tree does
 * not. */
static int read_pids(int dir, struct proc_pids *pids, bool *ret_ascending)
{
	_Alignas(struct dirent64) char dirents[DIRENTS_BYTES];
	bool ascending = true;
	ssize_t n;

	while ((n = getdents64(dir, dirents, sizeof(dirents))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(dirents + at);
			uint32_t pid;
			at += entry->d_reclen;
			if (!is_pid(entry->d_name, &pid))
				continue;
			ascending = ascending && (!pids->n || pids->pid[pids->n - 1] < pid);
			if (add_pid(pids, pid))
				return -ENOMEM;
		}
	}
	if (n < 0)
		return -errno;
	*ret_ascending = ascending;
	return 0;
}

int proc_list_pids(const struct proc_root *root, struct proc_pids *pids)
{
	int dir CLEANUP_CLOSE = open_at(root->proc, ".", O_RDONLY | O_DIRECTORY);
	bool ascending;

	pids->n = 0;
	if (dir < 0)
		return dir;
	int r = read_pids(dir, pids, &ascending);
	if (r) {
		pids->n = 0;
		return r;
	}
	if (!ascending)
		qsort(pids->pid, pids->n, sizeof(*pids->pid), compare_pids);
	return 0;
}

void proc_pids_deinit(struct proc_pids *pids)
{
	free(pids->pid);
	*pids = (struct proc_pids) { 0 };
}
