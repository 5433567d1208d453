/* SPDX-License-Identifier: MIT */
/*
 * thread-self LINK: reads a symbolic link from a thread that is not the first, and says `PID TARGET`.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *read_link(void *path)
{
	static char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return NULL;
	target[n] = 0;
	return target;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *target = NULL;

	if (argc != 2 || pthread_create(&thread, NULL, read_link, argv[1]) || pthread_join(thread, &target) ||
		!target)
		return 1;
	printf("%d %s\n", (int)getpid(), (const char *)target);
	return 0;
}
