/* SPDX-License-Identifier: MIT */
/*
 * Mounting and unmounting, for the supervisor. libfuse does it, as root by itself, for others through
 * fusermount3; what is taken from it is the descriptor alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fuse/fuse_door.h"
#include "schema/base/kv.h"
#include "schema/base/num.h"
#include "schema/proc/mountinfo.h"

/*
 * libfuse, and fusermount3 for it, say on standard error alone what is wrong; whoever waits for the mount has
 * another. So it is theirs for that long; stores the first line of what they said. The caller has no threads.
 */
static int mount_listening(struct fuse_session *session, const char *dir, char *ret_words, size_t cap)
{
	CLEANUP_CLOSE int words = memfd_create("memfs-words", MFD_CLOEXEC);
	CLEANUP_CLOSE int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	bool listens = words >= 0 && own >= 0 && dup2(words, STDERR_FILENO) >= 0;
	int r = fuse_session_mount(session, dir);

	if (listens)
		dup2(own, STDERR_FILENO);
	ssize_t n = r && listens ? pread(words, ret_words, cap - 1, 0) : 0;
	ret_words[n > 0 ? n : 0] = 0;
	ret_words[strcspn(ret_words, "\n")] = 0;
	return r;
}

int fuse_mount_door(
	const char *dir, enum door_kind kind, const char *name, bool everyone, int *ret_fd, struct err *err)
{
	char program[] = "memfs", option[] = "-o";
	char *options = NULL, words[ERR_REASON_MAX];
	struct fuse_lowlevel_ops ops = { .lookup = NULL };
	struct fuse_session *session;
	int r = 0;

	if (asprintf(&options, "fsname=%s,subtype=memfs,default_permissions%s", name,
		    everyone ? ",allow_other" : "") < 0)
		return err_set(err, ENOMEM, "no memory");
	CLEANUP_FREE char *owned = options;
	char *argv[] = { program, option, owned, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session) {
		r = err_set(err, EINVAL, "libfuse refuses the mount options");
	} else if (mount_listening(session, dir, words, sizeof(words))) {
		r = strstr(words, "exec fusermount3")
			    ? err_set(err, EPERM,
				      "cannot mount: fusermount3 cannot be run (install the package fuse3)")
			    : err_set(err, EPERM, "cannot mount: %s (on %s)",
				      *words ? words : "libfuse does not say why", dir);
	} else {
		int fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			r = err_set(err, errno, "cannot keep the descriptor of the mount");
		else
			*ret_fd = fd;
	}
	if (session)
		fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return r;
}

static int run_fusermount(const char *dir, bool lazy)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		execlp("fusermount3", "fusermount3", "-u", lazy ? "-qz" : "-q", "--", dir, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

int fuse_read_init(int fd, struct buf *ret_init)
{
	/* The kernel refuses a shorter buffer than this (FUSE_MIN_READ_BUFFER), though the request is small.
	 */
	enum { ROOM = 1 << 17 };
	char *room = buf_reserve(ret_init, ROOM);
	ssize_t n;

	if (!room)
		return -ENOMEM;
	do {
		n = read(fd, room, ROOM);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ret_init->len += (size_t)n;
	return 0;
}

static bool is_memfs(const struct mountinfo *mount)
{
	return span_equals(mount->type, "fuse.memfs");
}

/* Whether a memfs is seen on dir; stores whose. */
static bool find_mount(const char *dir, uint64_t *ret_uid)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf escaped = BUF_INIT;
	struct span rest, line, uid;
	struct mountinfo mount;
	bool mounted = false;

	mountinfo_escape(&escaped, dir);
	buf_putc(&escaped, 0);
	if (escaped.failed || proc_read_mounts(&text))
		return false;
	/* The last line of a mount point is what is seen there. */
	rest = (struct span) { text.data, text.len };
	while (span_line(&rest, &line)) {
		if (!mountinfo_parse(line, &mount) || !span_equals(mount.dir, escaped.data))
			continue;
		mounted = is_memfs(&mount);
		if (mountinfo_option(&mount, "user_id", &uid))
			num_parse_whole(uid.p, uid.n, ret_uid);
	}
	return mounted;
}

bool fuse_is_mounted(const char *dir)
{
	uint64_t uid;
	return find_mount(dir, &uid);
}

int fuse_unmount_door(const char *dir, bool lazy)
{
	uint64_t uid = geteuid();

	if (!umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH | MNT_FORCE : 0)))
		return 0;
	if (errno != EPERM)
		return -errno;
	/* Any failure of fusermount3 looks the same. */
	return find_mount(dir, &uid) && uid != geteuid() ? -EPERM : run_fusermount(dir, lazy);
}

int fuse_list_mounts(struct buf *out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span rest, line;
	struct mountinfo mount;
	int r = proc_read_mounts(&text);

	if (r)
		return r;
	rest = (struct span) { text.data, text.len };
	while (span_line(&rest, &line)) {
		if (!mountinfo_parse(line, &mount) || !is_memfs(&mount))
			continue;
		buf_put_unescaped(out, mount.dir.p, mount.dir.n);
		buf_putc(out, 0);
	}
	return buf_error(out);
}

/*
 * A connection without server answers ENOTCONN at once; a server that is stuck does not answer, so another
 * process asks.
 */
static enum fuse_mount_state probe(const char *dir)
{
	enum { PROBE_MS = 3000 };
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		struct statfs st;
		_exit(statfs(dir, &st) && errno == ENOTCONN);
	}
	CLEANUP_CLOSE int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
	if (pidfd < 0)
		return FUSE_MOUNTED;
	if (poll(&poll_fd, 1, PROBE_MS) != 1)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) ? FUSE_DEAD : FUSE_MOUNTED;
}

enum fuse_mount_state fuse_mount_state(const char *dir)
{
	return fuse_is_mounted(dir) ? probe(dir) : FUSE_NOT_MOUNTED;
}
