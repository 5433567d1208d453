/* SPDX-License-Identifier: MIT */
/*
 * owned UID: a process of root that becomes what its input says, a line each, and says so when it is: `user`,
 * all its ids are UID; `hide` and `show`, whether it may be dumped; `exec FILE`, another program, which is
 * then told by its own reading of the input. Ends with its input.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int obey(char *line, const char *uid)
{
	unsigned id = (unsigned)strtoul(uid, NULL, 10);

	if (!strcmp(line, "user"))
		return setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id);
	if (!strcmp(line, "hide"))
		return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!strcmp(line, "show"))
		return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (!strncmp(line, "exec ", 5))
		return execl(line + 5, line + 5, uid, (char *)NULL);
	return 1;
}

/* Unbuffered, for the next program is to read on where this one ends. */
static int read_line(char *line, size_t cap)
{
	size_t n = 0;

	while (n < cap - 1 && read(0, &line[n], 1) == 1) {
		if (line[n] == '\n') {
			line[n] = 0;
			return 1;
		}
		n++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc != 2)
		return 2;
	do {
		printf("%d\n", (int)getpid());
		fflush(stdout);
		if (!read_line(line, sizeof(line)))
			return 0;
	} while (!obey(line, argv[1]));
	perror(line);
	return 1;
}
