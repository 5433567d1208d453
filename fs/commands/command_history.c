/* SPDX-License-Identifier: MIT */
/* memfs history export. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/commands/command.h"
#include "fs/commands/history_export.h"
#include "fs/options.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/num.h"
#include "schema/base/when.h"

enum { DEFAULT_SPAN_S = 3600 };

/* What was asked for, as it stands on the command line. */
struct asked {
	struct options options;
	const char *from, *to, *pid, *name, *level, *format, *metrics;
	bool node;
};

static void asked_deinit(struct asked *asked)
{
	options_deinit(&asked->options);
}

static int fail(const char *reason)
{
	fprintf(stderr, "memfs: %s\n", reason);
	return 1;
}

static bool parse_arguments(int argc, char **argv, struct asked *asked, struct err *err)
{
	static const struct option names[] = { { "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' }, { "node", no_argument, NULL, 'n' },
		{ "pid", required_argument, NULL, 'p' }, { "name", required_argument, NULL, 'c' },
		{ "level", required_argument, NULL, 'l' }, { "format", required_argument, NULL, 'F' },
		{ "metrics", required_argument, NULL, 'm' }, { NULL, 0, NULL, 0 } };
	int option;

	optind = 0; /* getopt's own, begun anew */
	while ((option = getopt_long(argc, argv, "+o:", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			if (strncmp(optarg, "state=", 6) != 0)
				err_set(err, EINVAL, "-o takes state=DIR here");
			else
				options_set_all(&asked->options, optarg, err);
			break;
		case 'f':
			asked->from = optarg;
			break;
		case 't':
			asked->to = optarg;
			break;
		case 'n':
			asked->node = true;
			break;
		case 'p':
			asked->pid = optarg;
			break;
		case 'c':
			asked->name = optarg;
			break;
		case 'l':
			asked->level = optarg;
			break;
		case 'F':
			asked->format = optarg;
			break;
		case 'm':
			asked->metrics = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && asked->node + !!asked->pid + !!asked->name <= 1;
}

static struct span span_of(const char *text)
{
	return (struct span) { text, strlen(text) };
}

/* A place among names; -1 with the reason. */
static int find_name(const char *what, const char *text, const char *const *names, int n, struct err *err)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(text, names[i]))
			return i;
	}
	err_set(err, EINVAL, "there is no %s \"%s\"", what, text);
	return -1;
}

static int read_time(
	struct store *store, const char *text, int64_t now_s, int64_t *ret_time_s, struct err *err)
{
	struct when when;

	if (!when_time_parse(span_of(text), now_s, &when))
		return err_set(err, EINVAL,
			"\"%s\" is no time: 1700000000, 2026-11-20T14:00 (Z: UTC), -10m or last", text);
	if (when.kind != WHEN_LAST) {
		*ret_time_s = when_resolve(&when);
		return 0;
	}
	if (history_newest(store, ret_time_s))
		return err_set(err, ENODATA, "nothing is recorded yet");
	return 0;
}

static int choose_span(struct export *export, const struct asked *asked, struct store *store, struct err *err)
{
	int64_t now_s = clock_realtime_ns() / 1000000000;
	int r = 0, level;

	export->to_s = now_s;
	if (asked->to)
		r = read_time(store, asked->to, now_s, &export->to_s, err);
	export->from_s = export->to_s - DEFAULT_SPAN_S;
	if (!r && asked->from)
		r = read_time(store, asked->from, now_s, &export->from_s, err);
	if (r)
		return r;
	if (export->from_s > export->to_s)
		return err_set(err, EINVAL, "--from is after --to");
	int64_t duration_s = export->to_s - export->from_s;
	export->level = level_of_duration(duration_s > UINT32_MAX ? UINT32_MAX : (uint32_t)duration_s);
	if (!asked->level)
		return 0;
	level = find_name("level", asked->level, level_name, N_LEVELS, err);
	if (level < 0)
		return -EINVAL;
	export->level = (enum level)level;
	return 0;
}

/* --- whose --- */

struct choosing {
	struct export *export;
	size_t cap;
	bool has_start;
	uint64_t start_s;
};

static int on_subject(void *ctx, const struct store_subject *subject)
{
	struct choosing *choosing = ctx;
	struct export *export = choosing->export;

	if (choosing->has_start && subject->start_s != (int64_t)choosing->start_s)
		return 0;
	struct export_subject *chosen = array_push(&export->subject, &export->n_subjects, &choosing->cap);
	if (!chosen)
		return -ENOMEM;
	*chosen = (struct export_subject) {
		.id = subject->id, .pid = subject->pid, .start_s = subject->start_s
	};
	snprintf(chosen->comm, sizeof(chosen->comm), "%s", subject->comm);
	return 0;
}

static int parse_pid(const char *text, uint32_t *ret_pid, struct choosing *choosing, struct err *err)
{
	const char *at = text, *end = text + strlen(text);
	uint64_t pid;

	bool fine = num_parse_u64(&at, end, &pid) && pid > 0 && pid <= INT32_MAX;
	if (fine && at < end) {
		choosing->has_start = true;
		fine = *at++ == '-' && num_parse_u64(&at, end, &choosing->start_s) && at == end;
	}
	if (!fine)
		return err_set(err, EINVAL, "\"%s\" is no PID or PID-START (epoch seconds)", text);
	*ret_pid = (uint32_t)pid;
	return 0;
}

static int choose_subjects(
	struct export *export, const struct asked *asked, struct store *store, struct err *err)
{
	struct choosing choosing = { .export = export };
	CLEANUP_BUF struct buf comm = BUF_INIT;
	uint32_t pid = 0;
	int r = 0;

	level_columns_init(&export->metrics, asked->pid || asked->name ? &process_metrics : &system_metrics);
	if (!asked->pid && !asked->name)
		return on_subject(&choosing, &(struct store_subject) { .id = HISTORY_NODE, .comm = "" });
	if (asked->pid)
		r = parse_pid(asked->pid, &pid, &choosing, err);
	if (r)
		return r;
	if (asked->name)
		buf_put_escaped(&comm, asked->name, strlen(asked->name));
	buf_putc(&comm, '\0');
	r = buf_error(&comm);
	if (!r)
		r = store_each_subject(
			store, pid, asked->name ? comm.data : NULL, export->from_s, on_subject, &choosing);
	if (r)
		return err_set(err, r < 0 ? -r : EIO, "history cannot be read");
	if (!export->n_subjects)
		return err_set(err, ESRCH, "no process %s was recorded in that time",
			asked->pid ? asked->pid : asked->name);
	return 0;
}

static int prepare(struct export *export, const struct asked *asked, struct store *store, struct err *err)
{
	int r = choose_span(export, asked, store, err), format;

	if (r)
		return r;
	r = choose_subjects(export, asked, store, err);
	if (r)
		return r;
	if (asked->metrics && !*asked->metrics)
		return err_set(err, EINVAL, "--metrics takes names");
	if (asked->format) {
		format = find_name("format", asked->format, export_format_name, N_EXPORT_FORMATS, err);
		if (format < 0)
			return -EINVAL;
		export->format = (enum export_format)format;
	}
	return export_choose_columns(export, span_of(asked->metrics ? asked->metrics : ""), err);
}

static int run(const struct asked *asked, struct store *store)
{
	struct export export = { .out = stdout };
	struct err err = { 0 };
	int status = 0;

	if (prepare(&export, asked, store, &err)) {
		status = fail(err.reason);
	} else {
		int r = export_write(&export, store);
		if (r)
			status = fail(r < 0 ? strerror(-r) : "history cannot be read");
	}
	free(export.subject);
	return status;
}

int command_history(int argc, char **argv)
{
	CLEANUP(asked_deinit) struct asked asked = { .options = OPTIONS_INIT };
	struct store *store;
	struct err err = { 0 };

	/* getopt takes what stands in front of the options as the name of the program. */
	if (argc < 1 || strcmp(argv[0], "export") != 0)
		return command_usage("history");
	if (!parse_arguments(argc, argv, &asked, &err))
		return command_usage("history");
	if (err.code || options_default_directories(&asked.options, &err))
		return fail(err.reason);
	if (store_open_reader(asked.options.state, &store, &err))
		return fail(err.reason);
	int status = run(&asked, store);
	store_close(store);
	return status;
}
