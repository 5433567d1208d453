/* SPDX-License-Identifier: MIT */
/*
 * A main for fuzz targets where there is no fuzzer: runs every file of the directories and files given as
 * arguments through the target, from a block of its very size. Fails where there was none.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int replay(const char *path, unsigned *count)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *bytes;

	if (!file || fstat(fileno(file), &st) || !(bytes = malloc((size_t)st.st_size + !st.st_size))) {
		perror(path);
		if (file)
			fclose(file);
		return -1;
	}
	size_t n = fread(bytes, 1, (size_t)st.st_size, file);
	fclose(file);
	/* The target aborts where it finds something: the name of the input must be known by then. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(bytes, n);
	free(bytes);
	++*count;
	return 0;
}

static int replay_directory(const char *path, DIR *dir, unsigned *count)
{
	const struct dirent *entry;
	int r = 0;

	while (!r && (entry = readdir(dir))) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name)) {
			fprintf(stderr, "%s: name too long\n", path);
			return -1;
		}
		r = replay(name, count);
	}
	return r;
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int r = dir ? replay_directory(argv[i], dir, &count) : replay(argv[i], &count);
		if (dir)
			closedir(dir);
		if (r)
			return 1;
	}
	printf("%u inputs\n", count);
	return count ? 0 : 1;
}
