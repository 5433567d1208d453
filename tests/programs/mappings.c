/* SPDX-License-Identifier: MIT */
/*
 * mappings N: makes as many more mappings of a page each as are needed to have N, every second page of each
 * written to; says how many there are, and waits for the end of its input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t count(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t n = 0;
	int c;

	while (maps && (c = getc(maps)) != EOF)
		n += c == '\n';
	if (maps)
		fclose(maps);
	return n;
}

int main(int argc, char **argv)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), wanted = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	size_t had = count() + 1; /* and what the first of ours splits off */
	char byte;

	if (had >= wanted)
		return 2;
	/* Neighbours with unlike rights are mappings of their own. */
	char *at =
		mmap(NULL, (wanted - had) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < wanted - had; i++) {
		if (i % 4 == 0)
			at[i * page] = 1;
		if (i % 2 && mprotect(at + i * page, page, PROT_READ)) {
			perror("mprotect");
			return 1;
		}
	}
	printf("%zu\n", count());
	fflush(stdout);
	return read(0, &byte, 1) < 0;
}
