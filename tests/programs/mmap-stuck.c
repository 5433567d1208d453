/* SPDX-License-Identifier: MIT */
/*
 * mmap-stuck DIR: a process that is stuck with its mmap lock held, in a deterministic way. Mounts on DIR a
 * FUSE file system of one file whose reads are never answered. One process reads the file through the page
 * cache, so its page stays locked; another maps the same file opened for direct I/O, which has to drop that
 * page, and waits for it inside mmap(2) with the lock held for writing. Prints the pid of the latter. Ends,
 * and lets all of them go, with its end or that of its input.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_ID = 2, FILE_SIZE = 4096 };

static void reply(int fd, const struct fuse_in_header *in, int error, const void *body, size_t len)
{
	struct fuse_out_header out = {
		.len = (unsigned)(sizeof(out) + len), .error = -error, .unique = in->unique
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)(size_t)body, len } };

	if (writev(fd, iov, 2) < 0 && errno != ENOENT)
		exit(1);
}

static struct fuse_attr attr_of(uint64_t id)
{
	struct fuse_attr attr = { .ino = id,
		.nlink = 1,
		.mode = id == FILE_ID ? S_IFREG | 0644 : S_IFDIR | 0755,
		.size = id == FILE_ID ? FILE_SIZE : 0,
		.blksize = 4096 };
	return attr;
}

/* The second open of the file is for direct I/O. True where a READ came, which stays unanswered. */
static int answer(int fd, const struct fuse_in_header *in, int *opens)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
	struct fuse_entry_out entry = {
		.nodeid = FILE_ID, .entry_valid = 1000, .attr_valid = 1000, .attr = attr_of(FILE_ID)
	};
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = attr_of(in->nodeid) };
	struct fuse_open_out open_out = { .open_flags = FOPEN_KEEP_CACHE };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(fd, in, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(fd, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		if ((*opens)++)
			open_out.open_flags |= FOPEN_DIRECT_IO;
		reply(fd, in, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		return 1;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, in, ENOSYS, NULL, 0);
	}
	return 0;
}

static pid_t begin(int fd)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Whoever holds it keeps the connection alive. */
		close(fd);
	}
	return pid;
}

static void read_it(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);

	_exit(fd >= 0 && read(fd, &byte, 1) == 1 ? 0 : 1);
}

static void map_it(const char *path)
{
	int fd = open(path, O_RDONLY);

	_exit(fd >= 0 && mmap(NULL, FILE_SIZE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED ? 0 : 1);
}

int main(int argc, char **argv)
{
	static _Alignas(8) char request[FUSE_MIN_READ_BUFFER + 4096];
	char options[128], path[4096];
	int opens = 0, told = 0;
	pid_t reader = 0, mapper = 0;

	if (argc != 2)
		return 2;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	snprintf(path, sizeof(path), "%s/file", argv[1]);
	if (fd < 0 || mount("mmap-stuck", argv[1], "fuse.mmap-stuck", MS_NOSUID | MS_NODEV, options)) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			break;
		ssize_t n = read(fd, request, sizeof(request));
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			break;
		const struct fuse_in_header *in = (const void *)request;
		int hangs = answer(fd, in, &opens);
		if (in->opcode == FUSE_INIT && !(reader = begin(fd)))
			read_it(path);
		if (hangs && !mapper && !(mapper = begin(fd)))
			map_it(path);
		if (opens > 1 && !told) {
			told = 1;
			printf("%d\n", (int)mapper);
			fflush(stdout);
		}
	}
	/* Aborts the connection: both get an error. */
	umount2(argv[1], MNT_DETACH);
	close(fd);
	while (wait(NULL) > 0) {
		/* Gone. */
	}
	return 0;
}
