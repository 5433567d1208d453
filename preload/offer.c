/* SPDX-License-Identifier: MIT */
#include "preload/offer.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "preload/sys.h"

#define RUN_DIR    "/run"
#define RUN_PREFIX "memfs"

bool offer_path(const char *dir, const char *name, char *ret_path, size_t room)
{
	const char *parts[] = { dir, name[0] ? "/" : "", name, "/" SHADOW_SOCKET };
	size_t len = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t part = strlen(parts[i]);
		if (part >= room - len)
			return false;
		memcpy(ret_path + len, parts[i], part + 1);
		len += part;
	}
	return true;
}

static void send_to(int socket, const char *dir, const char *name, int fd, const struct shadow_offer *offer)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS } };
	struct iovec part = { (void *)offer, sizeof(*offer) };
	struct msghdr message = { .msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	if (!offer_path(dir, name, to.sun_path, sizeof(to.sun_path)))
		return;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	syscall(SYS_sendmsg, socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What getdents64 gives; the C library allocates to read a directory. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t len;
	uint8_t type;
	char name[];
};

static void send_to_all(int socket, int fd, const struct shadow_offer *offer)
{
	char bytes[8192] __attribute__((aligned(8)));
	int dir = sys_open(RUN_DIR, O_RDONLY | O_DIRECTORY);
	long len;

	if (dir < 0)
		return;
	while ((len = syscall(SYS_getdents64, dir, bytes, sizeof(bytes))) > 0)
		for (long at = 0; at < len;) {
			const struct entry *entry = (const struct entry *)(bytes + at);

			if (!strncmp(entry->name, RUN_PREFIX, sizeof(RUN_PREFIX) - 1) &&
				(entry->type == DT_DIR || entry->type == DT_UNKNOWN))
				send_to(socket, RUN_DIR, entry->name, fd, offer);
			at += entry->len;
		}
	sys_close(dir);
}

void offer_send(int fd, enum shadow_origin origin)
{
	struct shadow_offer offer = { .magic = SHADOW_MAGIC, .version = SHADOW_VERSION, .origin = origin };
	struct stat stat;
	int socket;

	if (syscall(SYS_fstat, fd, &stat))
		return;
	offer.inode = stat.st_ino;
	offer.pid = shim.header->pid;
	socket = (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket < 0)
		return;
	if (shim.run_dir[0])
		send_to(socket, shim.run_dir, "", fd, &offer);
	else
		send_to_all(socket, fd, &offer);
	sys_close(socket);
}
