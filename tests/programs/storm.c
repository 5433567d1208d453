/* SPDX-License-Identifier: MIT */
/*
 * storm COUNT: forks COUNT processes that exit at once, one after the other. Says how many it reaped.
 * storm COUNT hold: they stay, all of them, until standard input ends. Says "held" when all are there.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Standard input ends for all at once. */
static void await_end(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0) {
		/* Not yet. */
	}
}

int main(int argc, char **argv)
{
	long count = argc >= 2 ? strtol(argv[1], NULL, 10) : 0, reaped = 0;

	bool hold = argc == 3 && !strcmp(argv[2], "hold");

	for (long i = 0; i < count; i++) {
		pid_t pid = fork();
		if (!pid) {
			if (hold)
				await_end();
			_exit(0);
		}
		reaped += pid > 0 && (hold || waitpid(pid, NULL, 0) == pid);
	}
	if (hold) {
		puts(reaped == count ? "held" : "not all");
		fflush(stdout);
		await_end();
		for (reaped = 0; wait(NULL) > 0;)
			reaped++;
	}
	printf("%ld\n", reaped);
	return !count || reaped != count;
}
