/* SPDX-License-Identifier: MIT */
/*
 * Programs whose leaks are known to the byte. A case leaks what it says with LEAK and nothing else; whatever
 * else is on record when it ended is a mistake of the shim, or of the case. `PROGRAM --list` names the cases,
 * `PROGRAM CASE` runs one. Nothing here uses stdio, which allocates.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SELF "self"      /* the program itself asked for the block */
#define LIBC "libc.so.6" /* the C library did, for the program */

static inline void say(const char *line)
{
	ssize_t n = write(STDOUT_FILENO, line, strlen(line));

	(void)n;
}

/* The block at the address is leaked, has so many bytes, and was asked for by that module, or under that
 * name. */
static inline void leak_of(const void *block, size_t size, const char *module)
{
	char line[256];

	snprintf(line, sizeof(line), "expect %p %zu %s\n", block, size, module);
	say(line);
}

#define LEAK(block, size) leak_of(block, size, SELF)

/* The compiler must not see that a block is not used. */
static inline void *touch(void *block)
{
	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

static inline void check(int holds, const char *what)
{
	if (holds)
		return;
	say("failed: ");
	say(what);
	say("\n");
	_exit(1);
}

struct truth {
	const char *name;
	void (*run)(void);
};

static inline int truth_main(const struct truth *cases, size_t n, int argc, char **argv)
{
	for (size_t i = 0; i < n && argc >= 2; i++) {
		if (!strcmp(argv[1], "--list")) {
			say(cases[i].name);
			say("\n");
		} else if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	}
	return argc < 2 || strcmp(argv[1], "--list") ? 2 : 0;
}
