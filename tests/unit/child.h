/* SPDX-License-Identifier: MIT */
/* Include cmocka.h before. */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that does what the letters of a pipe tell it, and says when it is done. */
struct child {
	pid_t pid;
	int tell, hear;
};

static inline void *child_idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static inline void child_main(int in, int out)
{
	char letter;
	static char *block;
	enum { BLOCK = 8 << 20 };
	while (read(in, &letter, 1) == 1) {
		pthread_t thread;
		if (letter == 'g') {
			block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(block, 1, BLOCK);
		} else if (letter == 'f') {
			munmap(block, BLOCK);
		} else if (letter == 'n') {
			prctl(PR_SET_NAME, "renamed");
		} else if (letter == 'l') { /* the leader ends, a thread lives */
			pthread_create(&thread, NULL, child_idle, NULL);
			if (write(out, &letter, 1) != 1)
				_exit(1);
			syscall(SYS_exit, 0);
		} else if (letter == 'q') { /* all of it ends, while its other threads are there */
			pthread_create(&thread, NULL, child_idle, NULL);
			_exit(5);
		} else {
			_exit(letter);
		}
		if (write(out, &letter, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static inline struct child child_start(void)
{
	int in[2], out[2];
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		close(out[0]);
		child_main(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	return (struct child) { pid, in[1], out[0] };
}

static inline void child_do(const struct child *child, char letter)
{
	char done;
	assert_int_equal(write(child->tell, &letter, 1), 1);
	assert_int_equal(read(child->hear, &done, 1), 1);
	assert_int_equal(done, letter);
}

static inline void child_end(const struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->tell);
	close(child->hear);
}
