/* SPDX-License-Identifier: MIT */
/*
 * memfs-collector: started by the supervisor with an inherited board and control socket; one per state
 * directory. It outlives the supervisor, so that the next one can adopt it. Exit status: 0 told to stop, 1
 * failed, 2 bad usage, 3 another collector has the state directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "collector/loop.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/err.h"
#include "schema/base/log.h"
#include "schema/settings.h"

enum {
	EXIT_USAGE = 2,
	EXIT_LOCKED = 3,
	LOCK_PATIENCE_MS = 3000,
	LOCK_POLL_MS = 20,
	LARGE_BLOCK_BYTES = 256 << 10
};

struct options {
	int board_fd, control_fd, ready_fd, offers_fd, holder_fd, interval_ms, freshness_ms, log_level,
		server_uid;
	char *state_dir, *run_dir, *proc_root, *sweep;
	gboolean version;
};

/* enum board_sweep by its name; -1 where there is none. */
static int find_sweep(const char *name)
{
	for (int i = 0; i < N_BOARD_SWEEPS; i++)
		if (strcmp(name, board_sweep_name[i]) == 0)
			return i;
	return -1;
}

/* Whether a setting may have the value; 0: it is not given. */
static bool is_setting(enum setting id, int value)
{
	const struct setting_row *row = &setting_rows[id];
	return !value || (value > 0 && (uint64_t)value >= row->min && (uint64_t)value <= row->max);
}

static bool parse_options(int argc, char **argv, struct options *options)
{
	*options = (struct options) { .board_fd = -1,
		.control_fd = -1,
		.ready_fd = -1,
		.offers_fd = -1,
		.holder_fd = -1,
		.log_level = LOG_LEVEL_INFO };
	const GOptionEntry entries[] = {
		{ "board-fd", 0, 0, G_OPTION_ARG_INT, &options->board_fd, "Inherited board, a sealed memfd",
			"N" },
		{ "control-fd", 0, 0, G_OPTION_ARG_INT, &options->control_fd,
			"Inherited listening SEQPACKET socket", "N" },
		{ "ready-fd", 0, 0, G_OPTION_ARG_INT, &options->ready_fd,
			"Written to once the first tick is published", "N" },
		{ "offers-fd", 0, 0, G_OPTION_ARG_INT, &options->offers_fd,
			"Inherited SOCK_DGRAM, where programs offer what they record", "N" },
		{ "holder-fd", 0, 0, G_OPTION_ARG_INT, &options->holder_fd,
			"Inherited SEQPACKET link to who holds that for the next collector", "N" },
		{ "state", 0, 0, G_OPTION_ARG_FILENAME, &options->state_dir, "Where the history is kept",
			"DIR" },
		{ "run", 0, 0, G_OPTION_ARG_FILENAME, &options->run_dir, "The instance's run directory",
			"DIR" },
		{ "proc", 0, 0, G_OPTION_ARG_FILENAME, &options->proc_root,
			"Root that holds proc/ and sys/ (/)", "DIR" },
		{ "interval-ms", 0, 0, G_OPTION_ARG_INT, &options->interval_ms,
			"Time between two sweeps, for this run", "N" },
		{ "freshness-ms", 0, 0, G_OPTION_ARG_INT, &options->freshness_ms,
			"No number is older than this, for this run", "N" },
		{ "sweep", 0, 0, G_OPTION_ARG_STRING, &options->sweep,
			"How processes are asked (bpf where it works)", "portable|bpf|bpf-iterator" },
		{ "server-uid", 0, 0, G_OPTION_ARG_INT, &options->server_uid,
			"The user whose requests are believed", "N" },
		{ "log-level", 0, 0, G_OPTION_ARG_INT, &options->log_level,
			"0 errors, 1 warnings, 2 information, 3 debugging", "N" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	GOptionContext *context =
		g_option_context_new("- samples the machine for memfs (started by memfs mount)");
	GError *error = NULL;
	g_option_context_add_main_entries(context, entries, NULL);
	bool fine = g_option_context_parse(context, &argc, &argv, &error);
	g_option_context_free(context);
	const char *wrong = NULL;
	if (!fine)
		wrong = error->message;
	else if (options->version)
		wrong = NULL;
	else if (argc > 1)
		wrong = "it takes options only";
	else if (options->board_fd < 0 || !options->state_dir)
		wrong = "--board-fd and --state are needed; memfs mount gives them";
	else if (!is_setting(SETTING_SAMPLE_INTERVAL_MS, options->interval_ms))
		wrong = "--interval-ms is out of range";
	else if (!is_setting(SETTING_FRESHNESS_MS, options->freshness_ms))
		wrong = "--freshness-ms is out of range";
	else if (options->log_level < LOG_LEVEL_ERROR || options->log_level > LOG_LEVEL_DEBUG ||
		 options->server_uid < 0)
		wrong = "--log-level or --server-uid is out of range";
	else if (options->sweep && find_sweep(options->sweep) < 0)
		wrong = "--sweep is portable, bpf or bpf-iterator";
	if (wrong)
		fprintf(stderr, "memfs-collector: %s\n", wrong);
	g_clear_error(&error);
	return !wrong;
}

static void free_options(struct options *options)
{
	g_free(options->state_dir);
	g_free(options->run_dir);
	g_free(options->proc_root);
	g_free(options->sweep);
}

/*
 * The lock of the state directory, by open file description: it ends with the process, however that ends. One
 * that was killed a moment ago may still be going down, hence the patience. The descriptor, or -errno
 * (-EWOULDBLOCK: held).
 */
static int lock_state(const char *state_dir)
{
	CLEANUP_CLOSE int dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	CLEANUP_CLOSE int fd = openat(dir, "collector.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* Where nothing can be written there is nothing to have alone: history is absent, the rest works. */
	if (fd < 0 && errno == EROFS)
		return steal_fd(&dir);
	if (fd < 0)
		return -errno;
	int64_t until_ns = clock_monotonic_ns() + LOCK_PATIENCE_MS * INT64_C(1000000);
	for (;;) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return steal_fd(&fd);
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (clock_monotonic_ns() >= until_ns)
			return -EWOULDBLOCK;
		const struct timespec pause = { 0, LOCK_POLL_MS * 1000000L };
		nanosleep(&pause, NULL);
	}
}

/* The killer of the last resort should choose others before the one who tells what happened. */
static void spare_from_oom(const struct proc_root *root)
{
	if (!root->real)
		return;
	CLEANUP_CLOSE int fd = openat(root->proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "-500", 4) != 4)
		log_debug("oom_score_adj stays as it is: %s", err_name(errno));
}

static int run(const struct options *options)
{
	CLEANUP_CLOSE int lock = lock_state(options->state_dir);
	if (lock == -EWOULDBLOCK) {
		log_error("another collector has %s", options->state_dir);
		return EXIT_LOCKED;
	}
	if (lock < 0) {
		log_error("%s cannot be locked: %s", options->state_dir, strerror(-lock));
		return 1;
	}

	struct proc_root root = PROC_ROOT_INIT;
	struct board *board = NULL;
	int r = proc_root_init(&root, options->proc_root ? options->proc_root : "/");
	if (r < 0) {
		log_error("%s has no proc: %s", options->proc_root ? options->proc_root : "/", strerror(-r));
		return 1;
	}
	r = board_map(options->board_fd, true, &board);
	if (r < 0) {
		log_error("descriptor %d is no board of this version: %s", options->board_fd, strerror(-r));
		proc_root_deinit(&root);
		return 1;
	}
	spare_from_oom(&root);
	const struct loop_options loop = {
		.state_dir = options->state_dir,
		.root = &root,
		.board = board,
		.control_fd = options->control_fd,
		.ready_fd = options->ready_fd,
		.offers_fd = options->offers_fd,
		.holder_fd = options->holder_fd,
		.server_uid = (uid_t)options->server_uid,
		.fixed.value[SETTING_SAMPLE_INTERVAL_MS] = (uint64_t)options->interval_ms,
		.fixed.value[SETTING_FRESHNESS_MS] = (uint64_t)options->freshness_ms,
		.sweep = options->sweep ? find_sweep(options->sweep) : -1,
	};
	r = loop_run(&loop);
	board_unmap(board);
	proc_root_deinit(&root);
	return r < 0 ? 1 : 0;
}

/* What a worker takes for one count, some 20 MB, goes back to the kernel when it is freed. Left to itself
 * malloc raises the size from which blocks do so to that of the largest, and keeps as much in each thread's
 * arena. */
static void return_large_blocks(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK_BYTES);
}

int main(int argc, char **argv)
{
	struct options options;
	int status = EXIT_USAGE;

	if (parse_options(argc, argv, &options)) {
		log_set("memfs-collector", (enum log_level)options.log_level);
		return_large_blocks();
		umask(027);
		if (options.version)
			status = printf("memfs-collector %s\n", MEMFS_VERSION) < 0;
		else
			status = run(&options);
	}
	free_options(&options);
	return status;
}
