/* SPDX-License-Identifier: MIT */
/*
 * zombie-leader MIB: a second thread touches MIB and stays; the first one, whose id is the pid, ends. Says
 * `ready` when /proc shows it as a zombie. For tests of processes that can be read through a thread alone.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Whether the state in /proc/self/stat, behind the name in parentheses, is Z. */
static int leader_ended(void)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *end = strrchr(text, ')');
	return end && end[1] && end[2] == 'Z';
}

static void *stay(void *memory_bytes)
{
	size_t bytes = *(size_t *)memory_bytes;
	volatile char *memory = malloc(bytes);

	for (size_t i = 0; memory && i < bytes; i += 4096)
		memory[i] = 1;
	while (!leader_ended())
		poll(NULL, 0, 1);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char **argv)
{
	static size_t bytes;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bytes = (argc == 2 ? strtoul(argv[1], NULL, 10) : 1) << 20;
	if (pthread_create(&thread, NULL, stay, &bytes))
		return 1;
	pthread_exit(NULL);
}
