/* SPDX-License-Identifier: MIT */
/* What a running memfs has on the machine: directories, a lock, the id, sockets, mounts; and their removal.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "fs/fuse/fuse.h"
#include "fs/fuse/keep.h"
#include "fs/supervisor/offers_socket.h"
#include "fs/supervisor/own_dir.h"
#include "fs/supervisor/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/log.h"
#include "schema/board.h"
#include "schema/proc/root.h"
#include "schema/shadow.h"

enum { UUID_TEXT = 36, STACKED_MAX = 16, LOCK_MS = 1000, DYING_MS = 500, POLL_MS = 5 };

/* A file of the run directory, which is ours (fs/supervisor/own_dir.h); a link in there would lead out of it.
 */
static int open_in_run(
	struct supervisor *supervisor, const char *name, int flags, int *ret_fd, struct err *err)
{
	int fd = openat(supervisor->run_fd, name, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(err, errno, "%s/%s: %s", supervisor->options.run, name, strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* Why the lock cannot be had, the mount point first: it is what was asked for. */
static int refuse_locked(const struct supervisor *supervisor, struct err *err)
{
	const struct options *options = &supervisor->options;
	struct stat st;

	if (fuse_is_mounted(options->dir))
		return err_set(err, EBUSY, "a memfs is mounted on %s already", options->dir);
	if (stat(options->dir, &st))
		return err_set(err, errno, "%s: %s", options->dir, strerror(errno));
	pid_t pid = adopt_find_orphan(supervisor->run_fd, options->dir);
	if (pid)
		return err_set(err, EBUSY,
			"the memfs of %s goes on, unmounted here alone: end it first (kill %d), it has %s",
			options->dir, (int)pid, options->run);
	return err_set(
		err, EBUSY, "another memfs runs in %s (give each its own run= and state=)", options->run);
}

static int lock_run(struct supervisor *supervisor, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int r = open_in_run(supervisor, "lock", O_RDWR, &supervisor->lock, err);

	if (r)
		return r;
	/* A child that its dead supervisor was just starting has the lock until it sees so. */
	for (int waited = 0; fcntl(supervisor->lock, F_OFD_SETLK, &lock); waited += POLL_MS) {
		if (waited >= LOCK_MS) {
			close_fd(&supervisor->lock);
			return refuse_locked(supervisor, err);
		}
		poll(NULL, 0, POLL_MS);
	}
	return open_in_run(supervisor, "state", O_RDWR, &supervisor->state_fd, err);
}

/* A daemon's standard error: a file beside its sockets. */
static int open_log(struct supervisor *supervisor, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;
	int r = supervisor->ready_is_manager /* in the foreground */
			? 0
			: open_in_run(supervisor, "log", O_WRONLY | O_TRUNC | O_APPEND, &fd, err);

	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	return r;
}

/* The node's uuid, made once and kept in the state directory. */
static int read_or_make_id(struct options *options, struct err *err)
{
	char text[UUID_TEXT + 1] = "";
	CLEANUP_CLOSE int dir = -1;
	uuid_t id;
	int r = own_dir_open(options->state, err, &dir);

	if (r)
		return r;
	CLEANUP_CLOSE int fd = openat(dir, "id", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ELOOP, "%s/id is a link", options->state);
	if (fd >= 0 && read(fd, text, UUID_TEXT) == UUID_TEXT && !uuid_parse(text, id)) {
		options->id = strdup(text);
		return options->id ? 0 : err_set(err, ENOMEM, "no memory");
	}
	uuid_generate(id);
	uuid_unparse_lower(id, text);
	options->id = strdup(text);
	text[UUID_TEXT] = '\n';
	close_fd(&fd);
	fd = openat(dir, "id", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, UUID_TEXT + 1) != UUID_TEXT + 1)
		log_warning("%s/id cannot be written (%s): this node gets another id next time",
			options->state, strerror(errno));
	return options->id ? 0 : err_set(err, ENOMEM, "no memory");
}

/* The program itself, and the collector: beside it as built, or where it is installed. */
static int open_programs(struct supervisor *supervisor, struct err *err)
{
	/* From the directory of memfs; then where another prefix may have it. */
	static const struct {
		bool beside;
		const char *path;
	} places[] = { { true, "/memfs-collector" }, { true, "/../libexec/memfs-collector" },
		{ false, "/usr/local/libexec/memfs-collector" }, { false, "/usr/libexec/memfs-collector" } };
	char path[PATH_MAX], collector[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	supervisor->self_exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (n < 0 || supervisor->self_exe < 0)
		return err_set(err, errno, "/proc/self/exe: %s", strerror(errno));
	path[n] = 0;
	*strrchr(path, '/') = 0;
	for (size_t i = 0; supervisor->collector_exe < 0 && i < sizeof(places) / sizeof(*places); i++) {
		snprintf(collector, sizeof(collector), "%s%s", places[i].beside ? path : "", places[i].path);
		supervisor->collector_exe = open(collector, O_PATH | O_CLOEXEC);
	}
	return supervisor->collector_exe < 0
		       ? err_set(err, ENOENT, "memfs-collector is neither beside memfs nor installed")
		       : 0;
}

int place_find_server(uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *user = getpwnam("memfs");

	if (!user)
		user = getpwnam("nobody");
	if (!user)
		return -ENOENT;
	*ret_uid = user->pw_uid;
	*ret_gid = user->pw_gid;
	return 0;
}

/* Serve reads history through its group, and nothing else of the state. */
static int share_state_directory(struct supervisor *supervisor, struct err *err)
{
	CLEANUP_CLOSE int dir = -1;
	int r = own_dir_open(supervisor->options.state, err, &dir);

	if (r)
		return r;
	supervisor->serve_uid = geteuid();
	supervisor->serve_gid = getegid();
	if (geteuid())
		return 0;
	if (place_find_server(&supervisor->serve_uid, &supervisor->serve_gid))
		return err_set(err, ENOENT, "neither a user memfs nor nobody is there to serve as");
	if ((fchown(dir, 0, supervisor->serve_gid) || fchmod(dir, 0750)) && errno != EROFS)
		return err_set(err, errno, "%s: %s", supervisor->options.state, strerror(errno));
	return 0;
}

/* Whether serve can look up names in a directory. */
static bool serve_reaches(const struct supervisor *supervisor, const char *path)
{
	setfsgid(supervisor->serve_gid);
	setfsuid(supervisor->serve_uid);
	CLEANUP_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int self = dir < 0 ? -1 : openat(dir, ".", O_PATH | O_CLOEXEC);
	setfsuid(geteuid());
	setfsgid(getegid());
	return self >= 0;
}

/* Serve asks the collector through a socket in the run directory, and reads history in the other. */
static int check_reach(const struct supervisor *supervisor, struct err *err)
{
	const struct options *options = &supervisor->options;
	static const char cure[] = "let others search the folders above it (chmod o+x), or name another";

	if (!serve_reaches(supervisor, options->run))
		return err_set(err, EACCES, "user %u, as whom the tree is served, cannot reach run=%s: %s",
			(unsigned)supervisor->serve_uid, options->run, cure);
	if (!serve_reaches(supervisor, options->state))
		log_warning(
			"there will be no history: user %u, as whom the tree is served, cannot reach state=%s: %s",
			(unsigned)supervisor->serve_uid, options->state, cure);
	return 0;
}

int place_prepare(struct supervisor *supervisor, struct err *err)
{
	int r;

	snprintf(supervisor->live_dir, sizeof(supervisor->live_dir), "%s/live", supervisor->options.run);
	if ((r = own_dir_open(supervisor->options.run, err, &supervisor->run_fd)) ||
		(r = lock_run(supervisor, err)) || (r = open_log(supervisor, err)) ||
		(r = share_state_directory(supervisor, err)) || (r = check_reach(supervisor, err)) ||
		(r = read_or_make_id(&supervisor->options, err)))
		return r;
	return open_programs(supervisor, err);
}

/* A socket in the run directory that its owner can use, and the server's group where root made it. */
static int bind_socket(struct supervisor *supervisor, int fd, const char *name, mode_t mode, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", supervisor->options.run, name);

	if (n >= (int)sizeof(address.sun_path))
		return err_set(err, ENAMETOOLONG, "the path of run=%s is too long for a socket",
			supervisor->options.run);
	unlink(address.sun_path);
	mode_t mask = umask(0177);
	int r = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	umask(mask);
	if (!r && !geteuid() &&
		(chown(address.sun_path, 0, supervisor->serve_gid) || chmod(address.sun_path, mode)))
		r = -errno;
	return r ? err_set(err, -r, "%s: %s", address.sun_path, strerror(-r)) : 0;
}

static int make_control_socket(struct supervisor *supervisor, struct err *err)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, errno, "cannot make a socket: %s", strerror(errno));
	int r = bind_socket(supervisor, fd, "control.sock", 0660, err);
	if (r)
		return r;
	if (listen(fd, 128))
		return err_set(err, errno, "cannot listen: %s", strerror(errno));
	supervisor->control_fd = steal_fd(&fd);
	return 0;
}

/*
 * Where all that run can offer what they record. Without it there are no records of those that live for less
 * than a tick, and the mount is as good as ever.
 */
static void make_offers_socket(struct supervisor *supervisor)
{
	struct err err = { 0 };
	CLEANUP_CLOSE int fd = offers_socket();

	if (fd < 0)
		log_warning("no %s/" SHADOW_SOCKET ": %s", supervisor->options.run, strerror(-fd));
	else if (bind_socket(supervisor, fd, SHADOW_SOCKET, 0666, &err))
		log_warning("%s", err.reason);
	else
		supervisor->offers_fd = steal_fd(&fd);
}

int place_share(struct supervisor *supervisor, struct err *err)
{
	if (supervisor->board_fd < 0) {
		supervisor->board_fd = board_create();
		if (supervisor->board_fd < 0)
			return err_set(err, -supervisor->board_fd, "cannot make the board: %s",
				strerror(-supervisor->board_fd));
	}
	close_fd(&supervisor->board_read_fd);
	supervisor->board_read_fd = board_reopen_read_only(supervisor->board_fd);
	if (supervisor->board_read_fd < 0)
		return err_set(err, -supervisor->board_read_fd, "cannot share the board: %s",
			strerror(-supervisor->board_read_fd));
	if (supervisor->offers_fd < 0)
		make_offers_socket(supervisor);
	return supervisor->control_fd < 0 ? make_control_socket(supervisor, err) : 0;
}

/*
 * Whether dir is dead or free, as it will be in a moment: a serve that was killed has ended before
 * all its threads have let go of the connection.
 */
static enum fuse_mount_state settled_state(const char *dir, bool dying)
{
	enum fuse_mount_state state = fuse_mount_state(dir);

	for (int waited = 0; dying && state == FUSE_MOUNTED && waited < DYING_MS; waited += POLL_MS) {
		poll(NULL, 0, POLL_MS);
		state = fuse_mount_state(dir);
	}
	return state;
}

/* Never stacked: what is dead goes first, what lives is somebody's. */
static int clear_mount_point(const char *dir, bool dying, struct err *err)
{
	struct stat st;

	for (int i = 0; i < STACKED_MAX; i++) {
		switch (settled_state(dir, dying)) {
		case FUSE_MOUNTED:
			/* Ours, with nobody left who could answer: what waits there waits for ever. */
			if (dying && !fuse_unmount_door(dir, true))
				continue;
			return err_set(err, EBUSY, "a memfs is mounted on %s already", dir);
		case FUSE_DEAD:
			log_warning("unmounting the dead mount on %s", dir);
			if (fuse_unmount_door(dir, true))
				return err_set(err, EBUSY, "the dead mount on %s cannot be unmounted", dir);
			continue;
		case FUSE_NOT_MOUNTED:
			break;
		}
		if (stat(dir, &st))
			return err_set(err, errno, "%s: %s", dir, strerror(errno));
		return S_ISDIR(st.st_mode) ? 0 : err_set(err, ENOTDIR, "%s is not a directory", dir);
	}
	return err_set(err, EBUSY, "dead mounts are stacked on %s", dir);
}

static int record_init(struct supervisor *supervisor, struct err *err)
{
	const int doors[] = { supervisor->main_fd, supervisor->live_fd };
	CLEANUP_CLOSE int fd = memfd_create("memfs-init", MFD_CLOEXEC);

	if (fd < 0)
		return err_set(err, errno, "memfd_create: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		CLEANUP_BUF struct buf init = BUF_INIT;
		uint32_t len;
		int r = doors[i] < 0 ? 0 : fuse_read_init(doors[i], &init);
		if (r)
			return err_set(err, -r, "the kernel does not begin the connection: %s", strerror(-r));
		len = (uint32_t)init.len;
		if (write(fd, &len, sizeof(len)) != sizeof(len) ||
			(len && write(fd, init.data, len) != (ssize_t)len))
			return err_set(err, errno, "cannot record FUSE_INIT: %s", strerror(errno));
	}
	supervisor->init_fd = steal_fd(&fd);
	return 0;
}

static int mount_live(struct supervisor *supervisor, struct err *err)
{
	const struct options *options = &supervisor->options;
	char target;
	int r;

	if (mkdir(supervisor->live_dir, 0755) && errno != EEXIST && errno != ENOTCONN)
		return err_set(err, errno, "%s: %s", supervisor->live_dir, strerror(errno));
	/* Unlike lstat this asks nothing of a server that may be stuck. */
	if (readlinkat(supervisor->run_fd, "live", &target, 1) >= 0)
		return err_set(err, ELOOP, "%s is a link", supervisor->live_dir);
	r = clear_mount_point(supervisor->live_dir, supervisor->left_mount, err);
	return r ? r
		 : fuse_mount_door(supervisor->live_dir, DOOR_LIVE, options->node, !geteuid(),
			   &supervisor->live_fd, err);
}

/*
 * Where /proc hides processes from others (hidepid), root's collector sees them all, and the mount would show
 * them to all; while serve, which is one of the others, sees none. A user's own mount shows what that user
 * sees.
 */
static int refuse_hidden(const struct options *options, struct err *err)
{
	char how[16];

	if (geteuid() || strcmp(options->proc, "/") != 0 || !proc_hides_pids(how, sizeof(how)))
		return 0;
	return err_set(err, EPERM,
		"/proc hides what this mount would show to all (hidepid=%s): mount as an ordinary user, or "
		"first `mount -o remount,hidepid=0 /proc`",
		how);
}

int place_mount(struct supervisor *supervisor, struct err *err)
{
	const struct options *options = &supervisor->options;
	int r = refuse_hidden(options, err);

	if (r || (r = clear_mount_point(options->dir, supervisor->left_mount, err)))
		return r;
	supervisor->keep_fd = keep_create();
	if (supervisor->keep_fd < 0)
		return err_set(err, -supervisor->keep_fd, "cannot make shared memory: %s",
			strerror(-supervisor->keep_fd));
	if (!options->single && (r = mount_live(supervisor, err)))
		return r;
	r = fuse_mount_door(options->dir, options->single ? DOOR_SINGLE : DOOR_MAIN,
		options->source ? options->source : options->node, !geteuid(), &supervisor->main_fd, err);
	return r ? r : record_init(supervisor, err);
}

void place_unmount(struct supervisor *supervisor)
{
	if (supervisor->main_fd >= 0 && !supervisor->unmounted)
		fuse_unmount_door(supervisor->options.dir, true);
	if (supervisor->live_fd >= 0)
		fuse_unmount_door(supervisor->live_dir, true);
	close_fd(&supervisor->main_fd);
	close_fd(&supervisor->live_fd);
	close_fd(&supervisor->init_fd);
	close_fd(&supervisor->keep_fd);
}

void place_clean(const char *run, int run_fd)
{
	static const char *const names[] = { "control.sock", SHADOW_SOCKET, "state", "log" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlinkat(run_fd, names[i], 0);
	unlinkat(run_fd, "live", AT_REMOVEDIR);
	/* The lock file goes last, while it is held; the directory itself if it is ours alone. */
	unlinkat(run_fd, "lock", 0);
	rmdir(run);
}
