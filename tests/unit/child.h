/* SPDX-License-Identifier: MIT */
/* A child process that changes as it is told. Include cmocka.h before. */
#pragma once

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
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

static inline void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* Touches some pages, fewer than a processor may hold back, and stays. */
static inline void *touch_and_idle(void *arg)
{
	const int *out = arg;
	enum { FEW = 5 * 4096 };
	char *few = mmap(NULL, FEW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(few, 1, FEW);
	if (write(*out, "t", 1) != 1)
		_exit(1);
	return idle(arg);
}

static inline void child_main(int in, int out)
{
	char letter;
	char *block = NULL;
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
		} else if (letter == 't') { /* a thread of its own changes the memory */
			pthread_create(&thread, NULL, touch_and_idle, &out);
			continue;
		} else if (letter == 'e') { /* another program, which answers each letter with itself */
			if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
				_exit(1);
			execl("/bin/cat", "cat", (char *)NULL);
			_exit(1);
		} else if (letter == 'l') { /* the leader ends, a thread lives */
			pthread_create(&thread, NULL, idle, NULL);
			if (write(out, &letter, 1) != 1)
				_exit(1);
			syscall(SYS_exit, 0);
		} else if (letter == 'q') { /* all of it ends, while its other threads are there */
			pthread_create(&thread, NULL, idle, NULL);
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

/* What the kernel lists: a watched build may have a thread of its own in each process. */
static inline unsigned child_threads(const struct child *child)
{
	char path[64];
	unsigned n = 0;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)child->pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += *entry->d_name != '.';
	closedir(dir);
	return n;
}

static inline void child_end(const struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->tell);
	close(child->hear);
}
