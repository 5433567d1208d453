/* SPDX-License-Identifier: MIT */
#include "fs/supervisor/offers_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/proc/root.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5 */
#endif

#define WAITING_MAX "2048"

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

/* In the child, which shares our descriptors: puts the socket where the parent has made place for it. */
static int make_apart(int place)
{
	struct proc_root root;
	int setting = -1;

	if (unshare(CLONE_NEWNET) || proc_root_init(&root, "/"))
		return 1;
	int r = proc_open_file(root.proc, "sys/net/unix/max_dgram_qlen", O_WRONLY, &setting);
	if (!r && write(setting, WAITING_MAX, strlen(WAITING_MAX)) < 0)
		r = -errno;
	close_fd(&setting);
	proc_root_deinit(&root);
	int fd = r ? r : make_socket();
	if (fd < 0)
		return 1;
	r = dup3(fd, place, O_CLOEXEC) < 0;
	close(fd);
	return r;
}

/* The socket, or -1 where it cannot be made so. */
static int make_roomy_socket(void)
{
	CLEANUP_CLOSE int place = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int status, type = 0;
	socklen_t len = sizeof(type);

	if (place < 0)
		return -1;
	/* As fork, but for the shared descriptors; the child ends with the namespace that it alone was in. */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid)
		_exit(make_apart(place));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return pid < 0 || status || getsockopt(place, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_DGRAM
		       ? -1
		       : steal_fd(&place);
}

int offers_socket(void)
{
	CLEANUP_CLOSE int fd = geteuid() ? -1 : make_roomy_socket();
	const int on = 1;

	if (fd < 0)
		fd = make_socket();
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return -errno;
	/* Before Linux 6.5 a pid that came to another process is told by when that began. */
	setsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on));
	return steal_fd(&fd);
}
