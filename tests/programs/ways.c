/* SPDX-License-Identifier: MIT */
/*
 * ways FILE...: reads each file in every way that a program may - read, pread, byte by byte, mmap, sendfile,
 * splice, lseek to the end - and says which did not bring the same bytes. Reads beyond the end must bring
 * none. One descriptor is used for all, so a snapshot made at open is one content; numbers must not change.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX = 4 << 20 };

struct check {
	const char *path;
	int fd;
	size_t len;
	char expected[MAX], bytes[MAX];
	int bad;
};

static void differ(struct check *check, const char *way, ssize_t n)
{
	printf("%s: %s brought %zd bytes, or others, where read brought %zu\n", check->path, way, n,
		check->len);
	check->bad++;
}

static void compare(struct check *check, const char *way, ssize_t n)
{
	if (n < 0 || (size_t)n != check->len || memcmp(check->expected, check->bytes, check->len) != 0)
		differ(check, way, n);
}

static void by_read(struct check *check)
{
	ssize_t n;

	for (check->len = 0; check->len < MAX; check->len += (size_t)n) {
		n = read(check->fd, check->expected + check->len, MAX - check->len);
		if (n <= 0)
			break;
	}
}

static void by_pread(struct check *check, size_t step, const char *way)
{
	size_t at = 0;
	ssize_t n = 0;

	while (at < MAX && (n = pread(check->fd, check->bytes + at, step, (off_t)at)) > 0)
		at += (size_t)n;
	compare(check, way, n < 0 ? n : (ssize_t)at);
}

/* Through a pipe, as much as fits at a time. */
static void by_pipe(struct check *check, bool splices)
{
	off_t from = 0;
	size_t at = 0;
	ssize_t n = 0;
	int ends[2];

	if (pipe(ends))
		return;
	for (;;) {
		n = splices ? splice(check->fd, &from, ends[1], NULL, 4096, 0)
			    : sendfile(ends[1], check->fd, &from, 4096);
		if (n <= 0 || (n = read(ends[0], check->bytes + at, (size_t)n)) <= 0)
			break;
		at += (size_t)n;
	}
	compare(check, splices ? "splice" : "sendfile", n < 0 ? n : (ssize_t)at);
	close(ends[0]);
	close(ends[1]);
}

static void by_mmap(struct check *check)
{
	void *map = check->len ? mmap(NULL, check->len, PROT_READ, MAP_PRIVATE, check->fd, 0) : NULL;

	if (map == MAP_FAILED) {
		differ(check, "mmap", -1);
		return;
	}
	if (map) {
		memcpy(check->bytes, map, check->len);
		munmap(map, check->len);
	}
	compare(check, "mmap", (ssize_t)check->len);
}

static void by_size(struct check *check)
{
	struct stat st = { .st_size = -1 };
	off_t end = lseek(check->fd, 0, SEEK_END);

	fstat(check->fd, &st);
	if (st.st_size != (off_t)check->len)
		differ(check, "fstat", st.st_size);
	if (end != (off_t)check->len)
		differ(check, "lseek to the end", end);
	for (off_t beyond = 0; beyond < 3 * 4096; beyond += 4096) {
		ssize_t n = pread(check->fd, check->bytes, 16, (off_t)check->len + beyond);
		if (n)
			differ(check, "pread beyond the end", n);
	}
}

int main(int argc, char **argv)
{
	static struct check check;

	for (int i = 1; i < argc; i++) {
		check.path = argv[i];
		check.fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (check.fd < 0) {
			perror(argv[i]);
			return 1;
		}
		by_read(&check);
		by_size(&check);
		by_pread(&check, MAX, "pread");
		by_pread(&check, check.len < 65536 ? 1 : 977, "pread in small pieces");
		by_pipe(&check, false);
		by_pipe(&check, true);
		by_mmap(&check);
		close(check.fd);
	}
	return check.bad != 0;
}
