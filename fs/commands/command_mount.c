/* SPDX-License-Identifier: MIT */
/* memfs mount, memfs umount. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/commands/command.h"
#include "fs/fuse/fuse.h"
#include "fs/options.h"
#include "fs/supervisor/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/log.h"

enum { UMOUNT_MS = 20000, POLL_MS = 20 };

static int fail(const char *reason)
{
	fprintf(stderr, "memfs: %s\n", reason);
	return 1;
}

/* Nobody listens until the run directory is ours: then standard error becomes the log in there. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (chdir("/")) {
		/* Any directory will do but the one to be mounted on. */
	}
}

/* Waits for the supervisor's word: "+", or the reason why not. */
static int await_mount(int fd)
{
	char words[ERR_REASON_MAX + 1];
	ssize_t n;

	do {
		n = read(fd, words, sizeof(words) - 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1 && *words == '+')
		return 0;
	words[n > 0 ? n : 0] = 0;
	return fail(n > 0 ? words : "the supervisor ended before the tree answered");
}

static int mount_with(const struct options *options, bool foreground)
{
	int ends[2];

	log_set("memfs", (enum log_level)options->log_level);
	if (foreground)
		return supervise(options, -1);
	if (pipe2(ends, O_CLOEXEC))
		return fail(strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		return fail(strerror(errno));
	if (!pid) {
		close(ends[0]);
		detach();
		_exit(supervise(options, ends[1]));
	}
	close(ends[1]);
	int status = await_mount(ends[0]);
	/* It tells, then tidies up: whoever tries again at once shall not meet what is left. */
	if (status)
		waitpid(pid, NULL, 0);
	return status;
}

int command_mount(int argc, char **argv)
{
	struct options options = OPTIONS_INIT;
	struct err err = { 0 };
	const char *dir = NULL;
	bool foreground = false;
	int r = 0, status;

	for (int i = 0; i < argc && !r; i++) {
		if (!strcmp(argv[i], "-f"))
			foreground = true;
		else if (!strcmp(argv[i], "-o") && i + 1 < argc)
			r = options_set_all(&options, argv[++i], &err);
		else if (!strncmp(argv[i], "-o", 2) && argv[i][2])
			r = options_set_all(&options, argv[i] + 2, &err);
		else if (*argv[i] == '-' || dir)
			return command_usage("mount");
		else
			dir = argv[i];
	}
	if (!r && !dir)
		return command_usage("mount");
	CLEANUP_FREE char *real = r ? NULL : realpath(dir, NULL);
	if (real && !strcmp(real, "/"))
		r = err_set(&err, EPERM, "memfs is not mounted on the root directory, which it would hide");
	if (!r)
		r = options_finish(&options, dir, &err);
	if (r)
		status = err.code == EINVAL || err.code == ERANGE ? (fail(err.reason), EXIT_USAGE)
								  : fail(err.reason);
	else
		status = mount_with(&options, foreground);
	options_deinit(&options);
	return status;
}

/* The run directory of a mount, from where its links lead; empty where the mount is dead. */
static void find_run(const char *dir, char *ret_run, size_t cap)
{
	static const char suffix[] = "/live/self";
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/self", dir);
	ssize_t n = readlink(path, ret_run, cap - 1);
	size_t len = n < 0 ? 0 : (size_t)n;
	ret_run[len] = 0;
	if (len > sizeof(suffix) && !strcmp(ret_run + len - (sizeof(suffix) - 1), suffix))
		ret_run[len - (sizeof(suffix) - 1)] = 0;
	else
		*ret_run = 0;
}

/* The supervisor holds a lock as long as it lives; it is gone when the lock can be had or its file is. */
static bool supervisor_ended(const char *run)
{
	char path[PATH_MAX + 8];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	snprintf(path, sizeof(path), "%s/lock", run);
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 || (!fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_UNLCK);
}

/* What the dead mount on dir had beside it: its run directory is known by where its live session is mounted.
 */
static void end_dead(const char *dir)
{
	static const char suffix[] = "/live";
	CLEANUP_BUF struct buf dirs = BUF_INIT;

	if (fuse_list_mounts(&dirs))
		return;
	for (char *live = dirs.data; live < dirs.data + dirs.len;) {
		size_t n = strlen(live);
		if (n >= sizeof(suffix) && !strcmp(live + n - (sizeof(suffix) - 1), suffix)) {
			live[n - (sizeof(suffix) - 1)] = 0;
			adopt_end(live, dir);
		}
		live += n + 1;
	}
}

int command_umount(int argc, char **argv)
{
	char run[PATH_MAX], reason[ERR_REASON_MAX];

	if (argc != 1 || *argv[0] == '-')
		return command_usage("umount");
	CLEANUP_FREE char *dir = realpath(argv[0], NULL);
	if (!dir && errno == ENOTCONN)
		dir = strdup(argv[0]);
	if (!dir)
		return fail(strerror(errno));
	enum fuse_mount_state state = fuse_mount_state(dir);
	if (state == FUSE_NOT_MOUNTED) {
		snprintf(reason, sizeof(reason), "no memfs is mounted on %s", argv[0]);
		return fail(reason);
	}
	*run = 0;
	if (state == FUSE_MOUNTED)
		find_run(dir, run, sizeof(run));
	int r = fuse_unmount_door(dir, state == FUSE_DEAD);
	if (r) {
		snprintf(reason, sizeof(reason), "%s: %s", argv[0], strerror(-r));
		return fail(reason);
	}
	if (*run)
		adopt_end(run, dir);
	else if (state == FUSE_DEAD)
		end_dead(dir);
	for (int waited = 0; *run && !supervisor_ended(run) && waited < UMOUNT_MS; waited += POLL_MS)
		poll(NULL, 0, POLL_MS);
	return 0;
}
