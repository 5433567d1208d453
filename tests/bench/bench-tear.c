/* SPDX-License-Identifier: MIT */
/*
 * Readers of one file whose content changes at every tick: no read may be cut, padded or mixed of two. The
 * process read keeps mapping and unmapping memory, so that the number of digits of its resident set changes.
 */
#include <stdatomic.h>
#include <sys/mman.h>

#include "schema/base/num.h"
#include "tests/bench/place.h"

enum { READERS = 3, STAGES = 3, TEXT_BYTES = 4096, COLUMNS = 20, SHOWN_MAX = 10 };

/* Shared with the children. */
struct shared {
	_Atomic uint64_t min_rss_bytes, max_rss_bytes; /* that the process ever had */
	_Atomic uint64_t changes;
	_Atomic uint64_t reads, lengths_seen; /* a bit for each length */
	_Atomic uint64_t cut, padded, mixed, implausible, unlike_stat;
	_Atomic uint64_t shown;
};

/* The kernel's own word, which counts pages as the mount's source does. */
static uint64_t resident_bytes(int statm)
{
	char text[128];
	unsigned long pages = 0;
	ssize_t n = pread(statm, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	if (sscanf(text, "%*u %lu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* 7, 8 and 9 digits in turn: what is mapped is there already, so that mapping is quick. */
static void change_for_ever(struct shared *shared, int memory)
{
	static const size_t stage[STAGES] = { 0, 24 << 20, 120 << 20 };
	int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	void *mapped = MAP_FAILED;

	for (unsigned i = 0;; i++) {
		const struct timespec pause = { 0, 3000000 };
		size_t len = stage[i % STAGES];
		if (mapped != MAP_FAILED)
			munmap(mapped, stage[(i + STAGES - 1) % STAGES]);
		mapped = len ? mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, memory, 0) : MAP_FAILED;
		uint64_t now = resident_bytes(statm);
		/* The extremes are those of the first and the last stage. */
		if (i % STAGES == 0 && (!shared->min_rss_bytes || now < shared->min_rss_bytes))
			shared->min_rss_bytes = now;
		if (now > shared->max_rss_bytes)
			shared->max_rss_bytes = now;
		shared->changes++;
		nanosleep(&pause, NULL);
	}
}

static pid_t start_changing(struct shared *shared)
{
	CLEANUP_CLOSE int memory = memfd_create("bench-tear", MFD_CLOEXEC);
	static const char zeros[1 << 20];

	for (int i = 0; i < 120; i++) {
		if (write(memory, zeros, sizeof(zeros)) != sizeof(zeros))
			return -1;
	}
	pid_t pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		change_for_ever(shared, memory);
	}
	return pid;
}

/* Room for what the process maps beside its stages (stacks, a page more of a library), either way. */
static bool is_plausible(const struct shared *shared, uint64_t rss)
{
	enum { SLACK_BYTES = 1 << 20 };

	return rss + SLACK_BYTES >= shared->min_rss_bytes && rss <= shared->max_rss_bytes + SLACK_BYTES;
}

static void show(const char *what, const char *text, size_t len, off_t size)
{
	fprintf(stderr, "  %s, %zu bytes, stat says %lld: ", what, len, (long long)size);
	for (size_t i = 0; i < len && i < 160; i++)
		fprintf(stderr, text[i] >= ' ' && text[i] < 127 ? "%c" : "\\%03o", (unsigned char)text[i]);
	fputc('\n', stderr);
}

static const char *check_value(const struct shared *shared, const char *text, size_t len)
{
	uint64_t rss;

	if (!num_parse_whole(text, len - 1, &rss))
		return "mixed";
	return is_plausible(shared, rss) ? NULL : "implausible";
}

/* Every line is a key, a blank, 20 columns; and what belongs together is of one sample: the process has but
 * one amount of anonymous memory, whichever way it is reckoned. */
static const char *check_lines(const struct shared *shared, const char *text, size_t len)
{
	uint64_t rss = 0, shared_bytes = 0, anon = 0;
	const struct {
		const char *key;
		uint64_t *value;
	} wanted[] = { { "rss", &rss }, { "shared", &shared_bytes }, { "anon", &anon } };
	const char *end = text + len;

	for (const char *line = text; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *at = memchr(line, ' ', (size_t)(newline - line));
		if (!at || newline - at != 1 + COLUMNS)
			return "mixed";
		size_t n = (size_t)(at - line);
		while (at < newline && *at == ' ')
			at++;
		for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
			if (strlen(wanted[i].key) == n && !memcmp(line, wanted[i].key, n) &&
				!num_parse_whole(at, (size_t)(newline - at), wanted[i].value))
				return "mixed";
		}
		line = newline + 1;
	}
	if (rss - shared_bytes != anon)
		return "mixed";
	return is_plausible(shared, rss) ? NULL : "implausible";
}

typedef const char *check_fn(const struct shared *shared, const char *text, size_t len);

static int read_once(struct shared *shared, const char *path, check_fn *check)
{
	char text[TEXT_BYTES];
	struct stat before, after;
	const char *wrong = NULL;
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &before))
		return -errno;
	ssize_t n = read(fd, text, sizeof(text));
	if (n < 0 || fstat(fd, &after))
		return -errno;
	if (memchr(text, 0, (size_t)n)) {
		wrong = "padded";
		shared->padded++;
	} else if (!n || text[n - 1] != '\n') {
		wrong = "cut";
		shared->cut++;
	} else if (before.st_size == after.st_size &&
		   memcmp(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim)) == 0 &&
		   n != before.st_size) {
		wrong = "unlike stat";
		shared->unlike_stat++;
	} else if ((wrong = check(shared, text, (size_t)n))) {
		if (*wrong == 'm')
			shared->mixed++;
		else
			shared->implausible++;
	}
	if (wrong && shared->shown++ < SHOWN_MAX)
		show(wrong, text, (size_t)n, before.st_size);
	shared->lengths_seen |= UINT64_C(1) << (n < 63 ? n : 63);
	return 0;
}

static int read_many(struct shared *shared, const char *path, check_fn *check, uint64_t reads)
{
	for (uint64_t i = 0; i < reads; i++) {
		int r = read_once(shared, path, check);
		if (r) {
			fprintf(stderr, "%s: %s\n", path, strerror(-r));
			return 1;
		}
		if (i % 1024 == 1023)
			shared->reads += 1024;
	}
	shared->reads += reads % 1024;
	return 0;
}

/* True where no read of any reader was wrong. */
static bool read_all(struct shared *shared, const char *path, check_fn *check, uint64_t reads)
{
	pid_t reader[READERS];
	bool fine = true;
	uint64_t changes = shared->changes;

	shared->reads = shared->lengths_seen = 0;
	shared->cut = shared->padded = shared->mixed = shared->implausible = shared->unlike_stat = 0;
	for (int i = 0; i < READERS; i++) {
		reader[i] = fork();
		if (!reader[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(read_many(shared, path, check, (reads + READERS - 1) / READERS));
		}
	}
	for (int i = 0; i < READERS; i++) {
		int status = 1;
		waitpid(reader[i], &status, 0);
		fine &= status == 0;
	}
	changes = shared->changes - changes;
	printf("%s: %llu reads over %llu changes, %d lengths\n", path, (unsigned long long)shared->reads,
		(unsigned long long)changes, __builtin_popcountll(shared->lengths_seen));
	printf("  cut %llu, padded %llu, mixed %llu, implausible %llu, unlike stat %llu\n",
		(unsigned long long)shared->cut, (unsigned long long)shared->padded,
		(unsigned long long)shared->mixed, (unsigned long long)shared->implausible,
		(unsigned long long)shared->unlike_stat);
	if (!changes) {
		fprintf(stderr, "nothing changed while it was read\n");
		return false;
	}
	return fine && !shared->cut && !shared->padded && !shared->mixed && !shared->implausible &&
	       !shared->unlike_stat;
}

static int run(const struct place *place)
{
	struct shared *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[128];
	bool fine = true;
	pid_t pid;

	if (shared == MAP_FAILED || (pid = start_changing(shared)) < 0 ||
		place_mount(place, "memfs", "freshness_ms=10"))
		return 1;
	while (shared->changes < 2 * STAGES) {
		const struct timespec pause = { 0, 1000000 };
		nanosleep(&pause, NULL);
	}
	snprintf(path, sizeof(path), "memfs/local/%d/stat", (int)pid);
	fine &= read_all(shared, path, check_lines, place->quick ? 100000 : 10000000);
	snprintf(path, sizeof(path), "memfs/local/%d/rss", (int)pid);
	fine &= read_all(shared, path, check_value, place->quick ? 100000 : 3000000);
	if (__builtin_popcountll(shared->lengths_seen) < STAGES) {
		fprintf(stderr, "the length hardly changed: this says nothing\n");
		fine = false;
	}
	place_end(pid);
	return fine ? 0 : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
