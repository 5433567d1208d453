/* SPDX-License-Identifier: MIT */
/*
 * storm COUNT: forks COUNT processes that exit at once, one after the other. Says how many it reaped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0, reaped = 0;

	for (long i = 0; i < count; i++) {
		pid_t pid = fork();
		if (!pid)
			_exit(0);
		reaped += pid > 0 && waitpid(pid, NULL, 0) == pid;
	}
	printf("%ld\n", reaped);
	return !count || reaped != count;
}
