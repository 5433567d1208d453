/* SPDX-License-Identifier: MIT */
/*
 * named NAME...: a process for each NAME, which is taken as it is, whatever its bytes; the first 15 count.
 * Says their pids, a line each, once all have their names; ends them and itself at SIGTERM, or with its
 * parent. For tests with hostile names.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(const char *name)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		close(ends[0]);
		close(ends[1]);
		for (;;)
			pause();
	}
	close(ends[1]);
	/* Its end is closed once the name is set. */
	while (read(ends[0], &byte, 1) > 0)
		;
	close(ends[0]);
	return pid;
}

int main(int argc, char **argv)
{
	pid_t *child = calloc((size_t)argc, sizeof(*child));
	sigset_t end;
	int signal;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (int i = 1; child && i < argc; i++)
		printf("%d\n", (int)(child[i] = start(argv[i])));
	fflush(stdout);
	sigwait(&end, &signal);
	for (int i = 1; child && i < argc; i++) {
		if (child[i] > 0)
			kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	free(child);
	return !child;
}
