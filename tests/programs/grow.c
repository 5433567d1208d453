/* SPDX-License-Identifier: MIT */
/*
 * grow MIB STEP_MIB: holds MIB of touched memory and touches STEP_MIB more at each SIGUSR1. Says `ready` and
 * `grown` when it is done. For tests that watch a number change. Ends with its parent.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static int touch_more(const char *mib)
{
	size_t bytes = strtoul(mib, NULL, 10) << 20;
	char *memory;

	if (!bytes)
		return 0;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < bytes; i += 4096)
		memory[i] = 1;
	return 0;
}

int main(int argc, char **argv)
{
	sigset_t signals;
	int signal;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (argc != 3 || touch_more(argv[1]))
		return 2;
	for (puts("ready"); !fflush(stdout) && !sigwait(&signals, &signal); puts("grown")) {
		if (touch_more(argv[2]))
			return 1;
	}
	return 1;
}
