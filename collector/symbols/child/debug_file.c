/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/debug_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

enum { PATH_BYTES = 512 };

/* A regular file below DEBUG_FILE_DIR, wherever links and dots would lead; -1. */
static int open_below(const char *path)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH };
	CLEANUP_CLOSE int dir = open(DEBUG_FILE_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir < 0)
		return -1;
	CLEANUP_CLOSE int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	/* Before Linux 5.6: without dots, and links as the administrator made them. */
	if (fd < 0 && errno == ENOSYS && !strstr(path, ".."))
		fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -1;
	return steal_fd(&fd);
}

/* "xx/" of an id, or with `file` "xx/yy….debug"; the rest of the way is .build-id. */
static void put_path(char path[static PATH_BYTES], const unsigned char *id, int n, const char *behind)
{
	int at = snprintf(path, PATH_BYTES, ".build-id/%02x/", id[0]);

	for (int i = 1; i < n && at < PATH_BYTES - 8; i++)
		at += snprintf(path + at, (size_t)(PATH_BYTES - at), "%02x", id[i]);
	snprintf(path + at, (size_t)(PATH_BYTES - at), "%s", behind);
}

static bool has_id(int fd, const unsigned char *id, int n)
{
	const void *found;
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	bool same = elf && dwelf_elf_gnu_build_id(elf, &found) == n && !memcmp(found, id, (size_t)n);

	elf_end(elf);
	return same;
}

int debug_file_find(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **ret_name)
{
	char path[PATH_BYTES];
	const unsigned char *id;
	GElf_Addr where;
	int n = dwfl_module_build_id(module, &id, &where);

	if (n < 2)
		return -1;
	/* Without a file it is asked for what a debug file shares with others; the name is relative to it. */
	if (!file_name && link) {
		static const char dir[] = DEBUG_FILE_DIR "/";
		if (!strncmp(link, dir, sizeof(dir) - 1))
			return open_below(link + sizeof(dir) - 1);
		if (*link == '/' || strlen(link) > PATH_BYTES / 2)
			return -1;
		put_path(path, id, 1, link);
		return open_below(path);
	}
	put_path(path, id, n, ".debug");
	CLEANUP_CLOSE int fd = open_below(path);
	return fd >= 0 && has_id(fd, id, n) ? steal_fd(&fd) : -1;
}

int debug_file_none(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **ret_name)
{
	return -1;
}

int debug_file_no_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	char **ret_name, Elf **ret_elf)
{
	return -1;
}
