/* SPDX-License-Identifier: MIT */
/*
 * memfs run. Without --report it becomes the command: no process is in between, so pid, signals and exit
 * status are the command's own. With it the command is a child, whose end it passes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/commands/command.h"
#include "fs/options.h"
#include "fs/commands/run_program.h"
#include "fs/commands/run_region.h"
#include "fs/commands/run_report.h"
#include "schema/base/cleanup.h"
#include "schema/shadow.h"

/* As env(1) and timeout(1) have them. */
enum { EXIT_FAILED = 125, EXIT_UNUSABLE = 126, EXIT_NOT_FOUND = 127 };

struct run {
	struct options options;
	const char *trace, *follow;
	char **command;
	bool report, require;
	const char *run_dir; /* NULL: all of /run/memfs* */
	int region;          /* -1: the shim makes its own */
};

static void run_deinit(struct run *run)
{
	options_deinit(&run->options);
	close_fd(&run->region);
}

static bool parse_arguments(int argc, char **argv, struct run *run, struct err *err)
{
	static const struct option names[] = { { "trace", required_argument, NULL, 't' },
		{ "follow", required_argument, NULL, 'f' }, { "report", no_argument, NULL, 'r' },
		{ "require", no_argument, NULL, 'R' }, { NULL, 0, NULL, 0 } };
	int option;

	optind = 0; /* getopt's own, begun anew */
	while ((option = getopt_long(argc, argv, "+o:", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			if (strncmp(optarg, "run=", 4) != 0)
				err_set(err, EINVAL, "-o takes run=DIR here");
			else
				options_set_all(&run->options, optarg, err);
			break;
		case 't':
			run->trace = optarg;
			break;
		case 'f':
			run->follow = optarg;
			if (strcmp(optarg, "yes") != 0 && strcmp(optarg, "no") != 0)
				err_set(err, EINVAL, "--follow is yes or no");
			break;
		case 'r':
			run->report = true;
			break;
		case 'R':
			run->require = true;
			break;
		default:
			return false;
		}
	}
	run->command = argv + optind;
	return optind < argc;
}

/* Whose records it shall be: of the directory that was named, in the environment, of this user; or all. */
static void choose_run_dir(struct run *run)
{
	struct err err = { 0 };

	run->run_dir = run->options.run;
	if (!run->run_dir)
		run->run_dir = getenv(SHADOW_RUN_VARIABLE);
	if (!run->run_dir && geteuid() && !options_default_directories(&run->options, &err) &&
		run_has_socket(run->options.run))
		run->run_dir = run->options.run;
}

/* Why nothing could be recorded of that program itself. */
static int check_program(const char *command, struct err *err)
{
	switch (program_look(command)) {
	case PROGRAM_STATIC:
		return err_set(err, ENOEXEC, "%s is statically linked", command);
	case PROGRAM_OTHER_MACHINE:
		return err_set(err, ENOEXEC, "%s is of 32 bits, or of another processor", command);
	case PROGRAM_SECURE:
		return err_set(
			err, ENOEXEC, "%s has rights that you have not (setuid, capabilities)", command);
	case PROGRAM_DYNAMIC:
	case PROGRAM_UNKNOWN:
		break;
	}
	return 0;
}

static int set_preload(struct err *err)
{
	CLEANUP_BUF struct buf list = BUF_INIT;
	const char *before = getenv("LD_PRELOAD");
	int r = run_find_library(&list, err);

	if (r)
		return r;
	if (before && *before) {
		list.data[list.len - 1] = ':';
		buf_puts(&list, before);
		buf_putc(&list, 0);
	}
	if (list.failed || setenv("LD_PRELOAD", list.data, true))
		return err_set(err, ENOMEM, "no memory");
	return 0;
}

static int set_region_variable(int fd, struct err *err)
{
	char text[64];
	struct stat st;

	unsetenv(SHADOW_FD_VARIABLE);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st))
		return err_set(err, errno, "cannot look at the region: %s", strerror(errno));
	snprintf(text, sizeof(text), "%d:%llu", fd, (unsigned long long)st.st_ino);
	return setenv(SHADOW_FD_VARIABLE, text, true) ? err_set(err, ENOMEM, "no memory") : 0;
}

/*
 * In the process that becomes the command. The first thing that stands in the way of records is the reason;
 * what can be done is done all the same, for the command's children, or a memfs that is mounted later.
 */
static int prepare(struct run *run, const char *mode, struct err *err)
{
	int r = set_preload(err);

	if (r)
		return r;
	if ((run->run_dir && setenv(SHADOW_RUN_VARIABLE, run->run_dir, true)) ||
		setenv(SHADOW_TRACE_VARIABLE, mode, true) ||
		setenv(SHADOW_FOLLOW_VARIABLE, run->follow ? run->follow : "yes", true))
		return err_set(err, ENOMEM, "no memory");
	r = check_program(*run->command, err);
	if (!r)
		r = run_make_region(&run->region, err);
	if (r == -EFBIG) /* the shim makes one of the size that it may */
		r = 0;
	if (!r && run->region >= 0)
		r = run_offer_region(run->region, run->run_dir, err);
	int s = set_region_variable(run->region, err);
	return r ? r : s;
}

/* Returns only where it cannot become the command. */
static int become(struct run *run, const char *mode)
{
	struct err err = { 0 };

	if (prepare(run, mode, &err)) {
		fprintf(stderr, "memfs: %s%s\n", err.reason,
			run->require ? "" : ": running it all the same (--require would not)");
		if (run->require)
			return EXIT_FAILED;
	}
	execvp(*run->command, run->command);
	fprintf(stderr, "memfs: %s: %s\n", *run->command, strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_UNUSABLE;
}

/* What a terminal sends to all of its group has reached the command as well. */
static void forward(pid_t pid, const siginfo_t *info)
{
	if (info->si_code != SI_KERNEL)
		kill(pid, info->si_signo);
}

/* Waits for the command, and passes signals on to it. Returns its wait status. */
static int await(pid_t pid, const sigset_t *signals)
{
	siginfo_t info;
	int status = 0;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (sigwaitinfo(signals, &info) > 0 && info.si_signo != SIGCHLD)
			forward(pid, &info);
	}
	return status;
}

/* Ends as the command did. */
static int end_as(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	sigset_t all;
	/* Its core is dumped already. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* The child of run_and_report. gate: closed by the exec, written to where there is none. */
static int become_child(struct run *run, const char *mode, int gate)
{
	int status = become(run, mode);

	if (write(gate, "x", 1) < 0) {
		/* Nobody waits any more. */
	}
	return status;
}

static int run_and_report(struct run *run, const char *mode)
{
	static const int passed_on[] = { SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM,
		SIGCONT, SIGWINCH };
	sigset_t signals, before;
	int ends[2];
	char byte;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		sigaddset(&signals, passed_on[i]);
	if (pipe2(ends, O_CLOEXEC)) {
		fprintf(stderr, "memfs: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	CLEANUP_CLOSE int gate = ends[0], theirs = ends[1];
	sigprocmask(SIG_BLOCK, &signals, &before);
	/* Where it is ignored, as some starters have it, there would be nothing to wait for. */
	void (*on_child)(int) = signal(SIGCHLD, SIG_DFL);
	pid_t pid = fork();
	if (pid < 0) {
		fprintf(stderr, "memfs: cannot start another process: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (!pid) {
		signal(SIGCHLD, on_child);
		sigprocmask(SIG_SETMASK, &before, NULL);
		_exit(become_child(run, mode, theirs));
	}
	close_fd(&theirs);
	bool began = read(gate, &byte, 1) == 0;
	int status = await(pid, &signals);
	if (began)
		run_report(pid);
	return end_as(status);
}

int command_run(int argc, char **argv)
{
	CLEANUP(run_deinit) struct run run = { .options = OPTIONS_INIT, .trace = "exact", .region = -1 };
	CLEANUP_BUF struct buf mode = BUF_INIT;
	struct err err = { 0 };

	/* getopt wants the name of the program in front. */
	if (!parse_arguments(argc + 1, argv - 1, &run, &err) && !err.code)
		return command_usage("run");
	if (!err.code)
		run_put_mode(&mode, run.trace, &err);
	if (err.code) {
		fprintf(stderr, "memfs: %s\n", err.reason);
		return EXIT_USAGE;
	}
	choose_run_dir(&run);
	return run.report ? run_and_report(&run, mode.data) : become(&run, mode.data);
}
