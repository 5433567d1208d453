/* SPDX-License-Identifier: MIT */
/*
 * shadow: plays the collector for tests of the shim alone, by schema/shadow.h and with all its bounds.
 *
 *   shadow run [MODE [BYTES]] -- CMD...   hands a region over, runs CMD, then prints its table as `blocks`
 *                                         does; its status is CMD's
 *   shadow listen SOCKET COUNT            receives COUNT offers, a line each: pid of the sender, origin,
 *                                         inode, and whether it is a sealed region
 *   shadow blocks PID                     a line a block: address, size, epoch, kept, module, offset
 *   shadow header PID                     KEY VALUE lines
 *   shadow set PID MODE [BYTES]           drives the region: attaches, switches, detaches
 *   shadow stacks PID                     empties the ring: number, size of the block, bytes of stack, and
 *                                         module of the pc
 *   shadow beacon PID                     why there is no region
 *
 * A line begins with what it is, so that a program's own output may come before. Exit 1: there is no such
 * thing.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schema/shadow.h"

static const char *const modes[N_SHADOW_MODES] = { "off", "exact", "sample", "stacks", "follow" };

struct region {
	int fd;
	uint64_t file_bytes;
	struct shadow_header header;
};

static int region_load(struct region *region)
{
	struct stat stat;

	if (fstat(region->fd, &stat) || stat.st_nlink ||
		(fcntl(region->fd, F_GET_SEALS) & SHADOW_SEALS) != SHADOW_SEALS)
		return -1;
	region->file_bytes = (uint64_t)stat.st_size;
	if (pread(region->fd, &region->header, sizeof(region->header), 0) != sizeof(region->header))
		return -1;
	return shadow_header_fault(&region->header, region->file_bytes) ? -1 : 0;
}

/* The file of the first mapping of a region that begins with its header. */
static int region_open(const char *pid, struct region *ret_region)
{
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	ret_region->fd = -1;
	while (maps && fgets(line, sizeof(line), maps)) {
		uint64_t start, end, offset;

		if (!strstr(line, "/memfd:" SHADOW_NAME) ||
			sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &start, &end, &offset) != 3 ||
			offset)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
		ret_region->fd = open(path, O_RDWR | O_CLOEXEC);
		break;
	}
	if (maps)
		fclose(maps);
	return ret_region->fd < 0 ? -1 : region_load(ret_region);
}

static bool load(const struct region *region, void *to, size_t len, uint64_t at)
{
	return pread(region->fd, to, len, (off_t)at) == (ssize_t)len;
}

static const char *module_name(const struct region *region, uint32_t index, struct shadow_module *ret_module)
{
	const char *base;

	if (!index || index > SHADOW_MODULES ||
		!load(region, ret_module, sizeof(*ret_module),
			SHADOW_MODULES_AT + (index - 1) * sizeof(*ret_module)) ||
		!ret_module->ready)
		return "-";
	ret_module->path[sizeof(ret_module->path) - 1] = '\0';
	base = strrchr(ret_module->path, '/');
	return base ? base + 1 : ret_module->path;
}

static void print_site(const struct region *region, uint32_t index)
{
	struct shadow_site site;
	struct shadow_module module;
	struct shadow_name name;
	uint64_t key;

	if (!index || !load(region, &site, sizeof(site), SHADOW_SITES_AT + index * sizeof(site))) {
		printf("- -\n");
		return;
	}
	key = site.key & SHADOW_SITE_ADDRESS;
	if (site.key & SHADOW_SITE_NAMED) {
		load(region, &name, sizeof(name), SHADOW_NAMES_AT + key % SHADOW_NAMES * sizeof(name));
		printf("name %.*s\n", SHADOW_NAME_BYTES - 1, name.text);
	} else {
		const char *text = module_name(region, shadow_site_module(site.about), &module);
		printf("%s%s 0x%" PRIx64 "\n", text, site.key & SHADOW_SITE_GONE ? "(gone)" : "",
			*text == '-' ? key : key - module.bias);
	}
}

/* What `slot` at `index` of a leaf says; false: nothing that counts. */
static bool print_block(
	const struct region *region, uint64_t leaf_region, uint64_t index, uint64_t slot, uint64_t next)
{
	uint64_t addr = shadow_slot_addr(region->header.granule_shift, leaf_region, index, slot);
	uint64_t size = shadow_slot_size(slot);
	uint32_t site = shadow_slot_site(slot);
	enum shadow_tag tag = shadow_slot_tag(slot);
	struct shadow_sample sample = { 0 };

	if ((tag != SHADOW_BLOCK && tag != SHADOW_SAMPLED) ||
		shadow_slot_epoch(slot) < shadow_slot_epoch(region->header.attached))
		return false;
	if (tag == SHADOW_SAMPLED) {
		load(region, &sample, sizeof(sample), SHADOW_SAMPLES_AT + site * sizeof(sample));
		if (sample.number < 2 || sample.addr != addr || sample.site >= SHADOW_SITES)
			return false;
		size = sample.size;
		site = sample.site;
	} else if (size == SHADOW_SIZE_FAR) {
		if (shadow_slot_tag(next) != SHADOW_EXTENSION)
			return false;
		size = shadow_extension_size(next);
	}
	printf("block 0x%" PRIx64 " %" PRIu64 " %u %s ", addr, size, shadow_slot_epoch(slot),
		slot & SHADOW_KEPT      ? "kept"
		: tag == SHADOW_SAMPLED ? "sample"
					: "-");
	if (tag == SHADOW_SAMPLED)
		printf("%.6f ", (double)size / (1 - exp(-(double)size / (double)sample.rate)));
	print_site(region, site);
	return true;
}

static void print_leaf(const struct region *region, uint64_t leaf, uint64_t leaf_region)
{
	uint64_t at = shadow_leaf_at(region->header.granule_shift, leaf);
	uint64_t granules = shadow_leaf_granules(region->header.granule_shift);
	static uint64_t slots[4096 + 1];
	off_t data = (off_t)at;

	while ((data = lseek(region->fd, data, SEEK_DATA)) >= 0 && (uint64_t)data < at + granules * 8) {
		uint64_t first = ((uint64_t)data - at) / 8,
			 n = granules - first < 4096 ? granules - first : 4096;

		if (!load(region, slots, (n + 1) * 8, at + first * 8))
			return;
		for (uint64_t i = 0; i < n; i++)
			if (slots[i])
				print_block(region, leaf_region, first + i, slots[i], slots[i + 1]);
		data = (off_t)(at + (first + n) * 8);
	}
}

static int print_blocks(const struct region *region)
{
	for (uint64_t leaf = 0; leaf < region->header.leaves_used && leaf < region->header.leaves; leaf++) {
		uint64_t word = 0;

		if (load(region, &word, sizeof(word), SHADOW_LEAVES_AT + leaf * 8) && word &&
			shadow_leaf_region(word) <= SHADOW_REGION_LAST)
			print_leaf(region, leaf, shadow_leaf_region(word));
	}
	return 0;
}

/* Stacks that nobody took out of the ring yet. */
static unsigned count_stacks(const struct region *region)
{
	unsigned n = 0;
	uint64_t number;

	for (uint64_t i = 0; i < SHADOW_STACKS; i++)
		n += load(region, &number, sizeof(number),
			     SHADOW_STACKS_AT + i * sizeof(struct shadow_stack)) &&
		     number;
	return n;
}

static int print_header(const struct region *region)
{
	const struct shadow_header *header = &region->header;
	struct shadow_module module;
	uint32_t mode = shadow_control_mode(header->control);
	struct stat stat;

	fstat(region->fd, &stat);
	printf("mode %s\nrate %" PRIu64 "\ndriver %u\norigin %u\ngranule %u\npid %u\nleaves %" PRIu64
	       "\nleaves_used %" PRIu64 "\nmapped_bytes %" PRIu64 "\nuncovered_blocks %" PRIu64
	       "\nuncovered_bytes %" PRIu64 "\nolder_freed %" PRIu64 "\nsites_used %" PRIu64
	       "\nsamples_made %" PRIu64 "\nsamples_refused %" PRIu64 "\nstacks_dropped %" PRIu64
	       "\nstacks_waiting %u\nregion_bytes %lld\nallocator %s\n",
		mode < N_SHADOW_MODES ? modes[mode] : "?", shadow_control_rate(header->control),
		header->driver, header->origin, 1U << header->granule_shift, header->pid, header->leaves,
		header->leaves_used, header->mapped_bytes, header->uncovered_blocks, header->uncovered_bytes,
		header->older_freed, header->sites_used, header->samples_made, header->samples_refused,
		header->stacks_dropped, count_stacks(region), (long long)stat.st_blocks * 512,
		module_name(region, header->allocator, &module));
	return 0;
}

static int control_parse(char *const *words, uint64_t *ret_control)
{
	for (uint32_t mode = 0; mode < N_SHADOW_MODES; mode++)
		if (!strcmp(words[0], modes[mode])) {
			bool sampled = mode == SHADOW_SAMPLE || mode == SHADOW_STACK;
			uint64_t rate = words[1] ? strtoull(words[1], NULL, 10) : SHADOW_SAMPLE_BYTES;
			*ret_control = shadow_control(mode, sampled ? rate : 0);
			return 0;
		}
	return -1;
}

/* As a collector would: attaching begins a new epoch, switching goes on in the old. */
static int drive(const struct region *region, uint64_t control)
{
	struct shadow_header *header =
		mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	uint64_t before;

	if (header == MAP_FAILED)
		return 1;
	before = header->control;
	if (shadow_control_mode(before) == SHADOW_OFF) {
		uint64_t stamp = header->stamp + (UINT64_C(1) << SHADOW_EPOCH_SHIFT);
		header->stamp = stamp;
		header->attached = stamp;
	} else if ((control & 6) == SHADOW_SAMPLE &&
		   (shadow_control_mode(before) == SHADOW_EXACT || (before & SHADOW_MIXED))) {
		control |= SHADOW_MIXED;
	}
	header->driver = SHADOW_BY_COLLECTOR;
	header->control = control;
	return 0;
}

static int print_stacks(const struct region *region)
{
	struct shadow_stack *ring = mmap(NULL, SHADOW_STACKS * sizeof(*ring), PROT_READ | PROT_WRITE,
		MAP_SHARED, region->fd, SHADOW_STACKS_AT);
	uint32_t pc = region->header.machine == EM_X86_64 ? 16 : 32;

	if (ring == MAP_FAILED)
		return 1;
	for (unsigned i = 0; i < SHADOW_STACKS; i++) {
		struct shadow_sample sample = { 0 };
		char found[64] = "-";

		if (ring[i].number < 2)
			continue;
		load(region, &sample, sizeof(sample),
			SHADOW_SAMPLES_AT + ring[i].sample % SHADOW_SAMPLES * sizeof(sample));
		for (uint32_t index = 1; index <= region->header.modules_used; index++) {
			struct shadow_module module = { 0 };
			const char *name = module_name(region, index, &module);
			if (ring[i].registers[pc] >= module.start && ring[i].registers[pc] < module.end)
				snprintf(found, sizeof(found), "%s", name);
		}
		printf("stack %" PRIu64 " %" PRIu64 " %u %s\n", ring[i].number, sample.size, ring[i].len,
			found);
		ring[i].number = 0;
	}
	return 0;
}

/* The beacon stands at the start of a page of the shim's data. */
static int print_beacon(const char *pid)
{
	char path[64], line[512];
	int found = 1, memory;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	while (maps && memory >= 0 && found && fgets(line, sizeof(line), maps)) {
		uint64_t start, end;

		if (!strstr(line, SHADOW_LIBRARY) || !strstr(line, " rw-p ") ||
			sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			continue;
		for (; start < end; start += 4096) {
			struct shadow_beacon beacon;

			if (pread(memory, &beacon, sizeof(beacon), (off_t)start) == sizeof(beacon) &&
				beacon.magic == SHADOW_BEACON_MAGIC) {
				printf("reason %u\nerror %u\npid %u\n", beacon.reason, beacon.error,
					beacon.pid);
				found = 0;
			}
		}
	}
	if (maps)
		fclose(maps);
	if (memory >= 0)
		close(memory);
	return found;
}

static int hand_over(struct region *ret_region)
{
	char value[64];
	struct stat stat;
	int fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)SHADOW_FILE_BYTES) || fcntl(fd, F_ADD_SEALS, SHADOW_SEALS) ||
		fstat(fd, &stat))
		return -1;
	snprintf(value, sizeof(value), "%d:%llu", fd, (unsigned long long)stat.st_ino);
	setenv(SHADOW_FD_VARIABLE, value, 1);
	ret_region->fd = fd;
	return 0;
}

static int run(int argc, char **argv)
{
	struct region region;
	uint64_t control = SHADOW_EXACT;
	int at = 0, status, fd;
	pid_t pid;

	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	if (at + 1 >= argc)
		return 2;
	argv[at] = NULL;
	if ((at && control_parse(argv, &control)) || hand_over(&region))
		return 2;
	if (pwrite(region.fd, &control, sizeof(control), offsetof(struct shadow_header, control)) !=
		sizeof(control))
		return 2;
	pid = fork();
	if (!pid) {
		execvp(argv[at + 1], argv + at + 1);
		_exit(127);
	}
	fd = fcntl(region.fd, F_DUPFD_CLOEXEC, 0);
	close(region.fd);
	region.fd = fd;
	waitpid(pid, &status, 0);
	if (!region_load(&region))
		print_blocks(&region);
	else
		puts("no region");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int listen_at(const char *path, int count)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	puts("listening");
	fflush(stdout);
	while (count--) {
		struct shadow_offer offer;
		char control[256] __attribute__((aligned(16)));
		struct iovec part = { &offer, sizeof(offer) };
		struct msghdr message = { .msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		struct region region = { .fd = -1 };
		struct ucred sender = { 0 };

		if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != sizeof(offer) || offer.magic != SHADOW_MAGIC)
			continue;
		for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
			header = CMSG_NXTHDR(&message, header))
			if (header->cmsg_type == SCM_RIGHTS)
				memcpy(&region.fd, CMSG_DATA(header), sizeof(int));
			else if (header->cmsg_type == SCM_CREDENTIALS)
				memcpy(&sender, CMSG_DATA(header), sizeof(sender));
		printf("offer %d %u %" PRIu64 " %s\n", sender.pid, offer.origin, offer.inode,
			region_load(&region) ? "not ready" : "ready");
		fflush(stdout);
		close(region.fd);
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct region region;
	uint64_t control;

	if (argc >= 3 && !strcmp(argv[1], "run"))
		return run(argc - 2, argv + 2);
	if (argc == 4 && !strcmp(argv[1], "listen"))
		return listen_at(argv[2], atoi(argv[3]));
	if (argc >= 3 && !strcmp(argv[1], "beacon"))
		return print_beacon(argv[2]);
	if (argc < 3 || region_open(argv[2], &region))
		return 1;
	if (!strcmp(argv[1], "blocks"))
		return print_blocks(&region);
	if (!strcmp(argv[1], "header"))
		return print_header(&region);
	if (!strcmp(argv[1], "stacks"))
		return print_stacks(&region);
	if (!strcmp(argv[1], "set") && argc >= 4 && !control_parse(argv + 3, &control))
		return drive(&region, control);
	return 2;
}
