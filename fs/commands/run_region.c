/* SPDX-License-Identifier: MIT */
#include "fs/commands/run_region.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/base/fd_message.h"
#include "schema/base/num.h"
#include "schema/shadow.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U /* Linux 6.3 */
#endif

enum { SEND_S = 2 };

int run_find_library(struct buf *out, struct err *err)
{
	static const char *const places[] = { "/" SHADOW_LIBRARY, "/../" MEMFS_LIBDIR "/" SHADOW_LIBRARY,
		"/../lib/" SHADOW_LIBRARY };
	char exe[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_set(err, errno, "/proc/self/exe: %s", strerror(errno));
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, sizeof(path), "%s%s", exe, places[i]);
		if (access(path, R_OK))
			continue;
		/* The loader takes a list apart at these. */
		if (strpbrk(path, ": \t"))
			return err_set(err, EINVAL, "the path of %s has a blank or a colon in it", path);
		buf_puts(out, path);
		buf_putc(out, 0);
		return buf_error(out);
	}
	return err_set(err, ENOENT, SHADOW_LIBRARY " is neither beside memfs nor installed");
}

int run_put_mode(struct buf *out, const char *text, struct err *err)
{
	static const struct {
		const char *name;
		bool samples;
	} modes[] = { { "off", false }, { "exact", false }, { "sample", true }, { "stacks", true } };
	size_t n = strcspn(text, "= ");
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strlen(modes[i].name) != n || strncmp(text, modes[i].name, n) != 0)
			continue;
		buf_puts(out, modes[i].name);
		if (text[n]) {
			const char *size = text + n + 1;
			if (!modes[i].samples)
				break;
			if (!num_parse_size(size, strlen(size), &bytes) || !bytes ||
				bytes >> (64 - SHADOW_RATE_SHIFT))
				return err_set(err, EINVAL,
					"\"%s\" is no number of bytes between two samples", size);
			buf_printf(out, " %llu", (unsigned long long)bytes);
		}
		buf_putc(out, 0);
		return buf_error(out);
	}
	return err_set(
		err, EINVAL, "there is no mode \"%s\": off, exact, sample[=BYTES], stacks[=BYTES]", text);
}

int run_make_region(int *ret_fd, struct err *err)
{
	struct rlimit limit;

	/* Beyond it ftruncate does not fail: it ends the process. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < SHADOW_FILE_BYTES)
		return -EFBIG;
	CLEANUP_CLOSE int fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)SHADOW_FILE_BYTES) || fcntl(fd, F_ADD_SEALS, SHADOW_SEALS))
		return err_set(err, errno, "cannot make a file in memory: %s", strerror(errno));
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int put_address(struct sockaddr_un *address, const char *run)
{
	*address = (struct sockaddr_un) { .sun_family = AF_UNIX };
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s/" SHADOW_SOCKET, run);
	return n < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

bool run_has_socket(const char *run)
{
	struct sockaddr_un address;
	struct stat st;

	return !put_address(&address, run) && !stat(address.sun_path, &st) && S_ISSOCK(st.st_mode);
}

/* Waits where many offer at once: whoever reads is quick, or its successor is on its way. */
static int offer_to(int fd, const struct shadow_offer *offer, const char *run)
{
	struct sockaddr_un address;
	const struct timeval patience = { .tv_sec = SEND_S };
	CLEANUP_CLOSE int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (from < 0)
		return -errno;
	int r = put_address(&address, run);
	if (r)
		return r;
	setsockopt(from, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd_message_send(from, &address, offer, sizeof(*offer), fd, 0);
}

int run_offer_region(int fd, const char *run, struct err *err)
{
	struct shadow_offer offer = { .magic = SHADOW_MAGIC,
		.version = SHADOW_VERSION,
		.origin = SHADOW_OF_START,
		.pid = (uint32_t)getpid() };
	struct stat st;
	glob_t found;
	int r = -ENOENT;

	if (fstat(fd, &st))
		return err_set(err, errno, "cannot look at the region: %s", strerror(errno));
	offer.inode = st.st_ino;
	if (run) {
		r = offer_to(fd, &offer, run);
		return r ? err_set(err, ENOENT, "no memfs takes records in %s (%s)", run, strerror(-r)) : 0;
	}
	if (!glob("/run/memfs*", GLOB_ONLYDIR, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (!offer_to(fd, &offer, found.gl_pathv[i]))
				r = 0;
		}
		globfree(&found);
	}
	return r ? err_set(err, ENOENT, "no memfs takes records: is one mounted?") : 0;
}
