/* SPDX-License-Identifier: MIT */
/*
 * shadow-maker [OPTION...] [-- PROGRAM [ARGUMENT...]]
 *
 * A process with a shadow region, without the shim: as schema/shadow.h says, or as somebody hostile would.
 * Prints `region INODE`, writes blocks, and at each SIGUSR1 prints `owner PID mode N epoch N attached N`.
 * With a PROGRAM it runs that in its place at SIGUSR2, else it stays until it is ended.
 *
 *   --quiet          offers it to nobody
 *   --run DIR        offers it there (else MEMFS_RUN)
 *   --mode N         control begins with that mode, as the shim's does by MEMFS_TRACE
 *   --blocks N       writes so many slots (100)
 *   --fork           the child has its parent's mapped, and none of its own
 *   --times N        offers it so many times
 *   --brief          ends at once
 *   --exec           runs PROGRAM at once
 *   --take           takes the region that MEMFS_SHADOW names
 *   --no-seals --cut BYTES --pipe --no-file --scribble --version N --leaves N --shift N --far-clock --owner N
 *                    what a region may not be, and what it may say
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "schema/shadow.h"

struct wish {
	bool quiet, fork, brief, exec, take, no_seals, pipe, no_file, scribble, far_clock;
	const char *run;
	uint64_t mode, blocks, times, cut, version, leaves, shift, owner;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int make_file(const struct wish *wish)
{
	int fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)(wish->cut ? wish->cut : SHADOW_FILE_BYTES)))
		fail("memfd");
	if (!wish->no_seals && fcntl(fd, F_ADD_SEALS, SHADOW_SEALS))
		fail("seals");
	return fd;
}

static int take_file(void)
{
	const char *text = getenv(SHADOW_FD_VARIABLE);
	unsigned long long inode;
	struct stat st;
	int fd;

	if (!text || sscanf(text, "%d:%llu", &fd, &inode) != 2 || fstat(fd, &st) || st.st_ino != inode)
		fail(SHADOW_FD_VARIABLE);
	return fd;
}

static void fill(struct shadow_header *header, const struct wish *wish)
{
	header->magic = SHADOW_MAGIC;
	header->version = (uint32_t)wish->version;
	header->granule_shift = (uint32_t)wish->shift;
	header->leaves = wish->leaves;
	header->created_boot_ns = wish->far_clock ? UINT64_MAX - 1 : now_ns(CLOCK_BOOTTIME);
	header->created_real_ns = now_ns(CLOCK_REALTIME);
	header->pid = (uint32_t)getpid();
	header->control = shadow_control((enum shadow_mode)wish->mode, 0);
	header->driver = wish->mode ? SHADOW_BY_ENVIRONMENT : SHADOW_BY_NOBODY;
	header->owner = wish->owner;
	if (wish->scribble) {
		memset(header, 0xa5, sizeof(*header));
		header->magic = SHADOW_MAGIC;
	}
	atomic_store(&header->state, SHADOW_READY);
}

static void write_blocks(int fd, const struct shadow_header *header, const struct wish *wish)
{
	uint64_t word = shadow_leaf_word(1), slot = SHADOW_BLOCK | UINT64_C(64) << SHADOW_SIZE_SHIFT;

	if (pwrite(fd, &word, sizeof(word), SHADOW_LEAVES_AT) != sizeof(word))
		return;
	for (uint64_t i = 0; i < wish->blocks; i++) {
		if (pwrite(fd, &slot, sizeof(slot),
			    (off_t)(shadow_leaf_at(header->granule_shift, 0) + 32 * i)) < 0)
			return;
	}
}

static void offer(int fd, const struct wish *wish, uint64_t inode)
{
	struct shadow_offer message = { SHADOW_MAGIC, SHADOW_VERSION, SHADOW_OF_START, inode,
		(uint32_t)getpid(), 0 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *run = wish->run ? wish->run : getenv(SHADOW_RUN_VARIABLE);
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec part = { &message, sizeof(message) };
	struct msghdr header = { &to, sizeof(to), &part, 1, &control, sizeof(control), 0 };

	if (!run || snprintf(to.sun_path, sizeof(to.sun_path), "%s/" SHADOW_SOCKET, run) >=
			    (int)sizeof(to.sun_path))
		fail("no run directory");
	int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ends[2];
	if (wish->pipe && !pipe(ends))
		fd = ends[0];
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (wish->no_file) {
		header.msg_control = NULL;
		header.msg_controllen = 0;
	}
	for (uint64_t i = 0; i < wish->times; i++) {
		if (sendmsg(from, &header, 0) < 0)
			fail("offer");
	}
	close(from);
}

static bool parse(int argc, char **argv, struct wish *wish)
{
	enum { NUMBER = 256, FLAG = 512 };
	bool *const flags[] = { &wish->quiet, &wish->fork, &wish->brief, &wish->exec, &wish->take,
		&wish->no_seals, &wish->pipe, &wish->no_file, &wish->scribble, &wish->far_clock };
	uint64_t *const numbers[] = { &wish->mode, &wish->blocks, &wish->times, &wish->cut, &wish->version,
		&wish->leaves, &wish->shift, &wish->owner };
	static const struct option names[] = { { "quiet", 0, NULL, FLAG }, { "fork", 0, NULL, FLAG + 1 },
		{ "brief", 0, NULL, FLAG + 2 }, { "exec", 0, NULL, FLAG + 3 }, { "take", 0, NULL, FLAG + 4 },
		{ "no-seals", 0, NULL, FLAG + 5 }, { "pipe", 0, NULL, FLAG + 6 },
		{ "no-file", 0, NULL, FLAG + 7 }, { "scribble", 0, NULL, FLAG + 8 },
		{ "far-clock", 0, NULL, FLAG + 9 }, { "mode", 1, NULL, NUMBER },
		{ "blocks", 1, NULL, NUMBER + 1 }, { "times", 1, NULL, NUMBER + 2 },
		{ "cut", 1, NULL, NUMBER + 3 }, { "version", 1, NULL, NUMBER + 4 },
		{ "leaves", 1, NULL, NUMBER + 5 }, { "shift", 1, NULL, NUMBER + 6 },
		{ "owner", 1, NULL, NUMBER + 7 }, { "run", 1, NULL, 'r' }, { NULL, 0, NULL, 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (option == 'r')
			wish->run = optarg;
		else if (option >= FLAG)
			*flags[option - FLAG] = true;
		else if (option >= NUMBER)
			*numbers[option - NUMBER] = strtoull(optarg, NULL, 0);
		else
			return false;
	}
	return true;
}

static void stay(const struct shadow_header *header, char **program)
{
	sigset_t signals;
	int signal;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	while (!sigwait(&signals, &signal)) {
		uint64_t stamp = header->stamp, attached = header->attached;
		if (signal == SIGUSR2)
			break;
		printf("owner %u mode %u epoch %u attached %u\n", shadow_owner_pid(header->owner),
			shadow_control_mode(header->control), (unsigned)(stamp >> SHADOW_EPOCH_SHIFT),
			(unsigned)(attached >> SHADOW_EPOCH_SHIFT));
		fflush(stdout);
	}
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	if (*program)
		execvp(*program, program);
}

int main(int argc, char **argv)
{
	struct wish wish = { .blocks = 100, .times = 1, .version = SHADOW_VERSION, .leaves = 4, .shift = 5 };
	sigset_t signals;
	struct stat st;

	if (!parse(argc, argv, &wish))
		return 2;
	/* Before anybody may send one. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int fd = wish.take ? take_file() : make_file(&wish);
	char *region = mmap(NULL, SHADOW_KEEP_AT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (region == MAP_FAILED || fstat(fd, &st))
		fail("mmap");
	struct shadow_header *header = (struct shadow_header *)region;
	if (!wish.cut || wish.cut > sizeof(*header)) {
		fill(header, &wish);
		write_blocks(fd, header, &wish);
	}
	if (!wish.quiet && !wish.take)
		offer(fd, &wish, st.st_ino);
	close(fd);
	if (wish.fork) {
		if (fork() > 0)
			for (;;)
				pause();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	printf("region %llu\n", (unsigned long long)st.st_ino);
	fflush(stdout);
	if (wish.brief)
		return 0;
	if (wish.exec) {
		sigprocmask(SIG_UNBLOCK, &signals, NULL);
		execvp(argv[optind], argv + optind);
		fail(argv[optind]);
	}
	stay(header, argv + optind);
	return 0;
}
