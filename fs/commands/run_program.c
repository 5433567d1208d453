/* SPDX-License-Identifier: MIT */
#include "fs/commands/run_program.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

enum { HEAD_BYTES = 4096, INTERPRETERS_MAX = 5 };

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE };
#endif

enum program_kind program_kind_of(const void *bytes, size_t len)
{
	Elf64_Ehdr head;

	if (len < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return PROGRAM_UNKNOWN;
	memcpy(&head, bytes, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != MACHINE)
		return PROGRAM_OTHER_MACHINE;
	if (head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > len ||
		head.e_phnum > (len - head.e_phoff) / sizeof(Elf64_Phdr))
		return PROGRAM_UNKNOWN;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, (const char *)bytes + head.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_INTERP)
			return PROGRAM_DYNAMIC;
	}
	return PROGRAM_STATIC;
}

void program_put_interpreter(struct buf *out, const void *bytes, size_t len)
{
	const char *text = bytes, *end = text + len;

	if (len < 2 || text[0] != '#' || text[1] != '!')
		return;
	for (text += 2; text < end && (*text == ' ' || *text == '\t'); text++) {
	}
	const char *from = text;
	while (text < end && *text && *text != ' ' && *text != '\t' && *text != '\n')
		text++;
	buf_put(out, from, (size_t)(text - from));
}

static bool is_secure(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	return (st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	       (st.st_mode & S_ISGID && st.st_mode & S_IXGRP && st.st_gid != getegid()) ||
	       (geteuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

static enum program_kind look_at(const char *path, int depth)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_BUF struct buf interpreter = BUF_INIT;
	char head[HEAD_BYTES];

	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	if (n <= 0)
		return PROGRAM_UNKNOWN;
	/* The kernel heeds neither of a script. */
	program_put_interpreter(&interpreter, head, (size_t)n);
	if (!interpreter.len)
		return is_secure(fd) ? PROGRAM_SECURE : program_kind_of(head, (size_t)n);
	buf_putc(&interpreter, 0);
	return buf_error(&interpreter) || depth >= INTERPRETERS_MAX ? PROGRAM_UNKNOWN
								    : look_at(interpreter.data, depth + 1);
}

enum program_kind program_look(const char *command)
{
	const char *search = getenv("PATH");
	char path[PATH_MAX];

	if (strchr(command, '/'))
		return look_at(command, 0);
	for (const char *at = search ? search : "/bin:/usr/bin", *colon; at; at = colon ? colon + 1 : NULL) {
		colon = strchrnul(at, ':');
		int n = (int)(colon - at);
		if (snprintf(path, sizeof(path), "%.*s%s%s", n, at, n ? "/" : "", command) <
				(int)sizeof(path) &&
			!access(path, X_OK))
			return look_at(path, 0);
		colon = *colon ? colon : NULL;
	}
	return PROGRAM_UNKNOWN;
}
