/* SPDX-License-Identifier: MIT */
#include "fs/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fs/supervisor/own_dir.h"
#include "schema/base/cleanup.h"
#include "schema/base/num.h"
#include "schema/settings.h"

enum kind { TEXT, DIRECTORY, NUMBER, FLAG };

static const struct option_row {
	const char *name;
	enum kind kind;
	size_t offset;
	unsigned min, max;
	const char *doc;   /* NULL: between the supervisor and serve, or another name of an option */
	const char *words; /* of a TEXT: all it may be, `word|word`; NULL: anything */
	const struct setting_row *setting; /* of a NUMBER: what it fixes, with its range and default */
	bool is_alias;                     /* another name of the row above with this offset */
} rows[] = {
	{ "node", TEXT, offsetof(struct options, node), 0, 0,
		"name of this node in the mount (the host name)" },
	{ "state", DIRECTORY, offsetof(struct options, state), 0, 0,
		"directory of the history (/var/lib/memfs; of a user ~/.local/state/memfs)" },
	{ "run", DIRECTORY, offsetof(struct options, run), 0, 0,
		"directory of sockets and the live session (/run/memfs; of a user $XDG_RUNTIME_DIR/memfs)" },
	{ "proc", DIRECTORY, offsetof(struct options, proc), 0, 0,
		"directory that holds proc/ and sys/ (/)" },
	{ "single", FLAG, offsetof(struct options, single), 0, 0,
		"one FUSE session instead of two: slower, no links" },
	{ "freshness_ms", NUMBER, offsetof(struct options, freshness_ms), 0, 0,
		"no number is older than this", .setting = &setting_rows[SETTING_FRESHNESS_MS] },
	{ "sample_interval_ms", NUMBER, offsetof(struct options, interval_ms), 0, 0,
		"time between two sweeps, also called interval_ms",
		.setting = &setting_rows[SETTING_SAMPLE_INTERVAL_MS] },
	{ "log_level", NUMBER, offsetof(struct options, log_level), 0, 3,
		"0 errors, 1 warnings, 2 information, 3 debugging (1)" },
	{ "sweep", TEXT, offsetof(struct options, sweep), 0, 0,
		"portable, bpf or bpf-iterator, how processes are asked (bpf where it works)",
		"portable|bpf|bpf-iterator" },
	{ "dir", TEXT, offsetof(struct options, dir), 0, 0, NULL },
	{ "host", TEXT, offsetof(struct options, host), 0, 0, NULL },
	{ "owner_uid", NUMBER, offsetof(struct options, owner_uid), 0, UINT_MAX, NULL },
	{ "owner_gid", NUMBER, offsetof(struct options, owner_gid), 0, UINT_MAX, NULL },
	{ "id", TEXT, offsetof(struct options, id), 0, 0, NULL },
	{ "source", TEXT, offsetof(struct options, source), 0, 0, NULL },
	{ "interval_ms", NUMBER, offsetof(struct options, interval_ms), 0, 0, NULL,
		.setting = &setting_rows[SETTING_SAMPLE_INTERVAL_MS], .is_alias = true },
};
enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

static bool is_text(const struct option_row *row)
{
	return row->kind == TEXT || row->kind == DIRECTORY;
}

static void *member(const struct options *options, const struct option_row *row)
{
	return (char *)(uintptr_t)options + row->offset;
}

static uint64_t min_of(const struct option_row *row)
{
	return row->setting ? row->setting->min : row->min;
}

static uint64_t max_of(const struct option_row *row)
{
	return row->setting ? row->setting->max : row->max;
}

static bool is_word_of(const char *words, const char *value)
{
	size_t n = strcspn(words, "|");
	while (strlen(value) != n || memcmp(words, value, n)) {
		if (!words[n])
			return false;
		words += n + 1;
		n = strcspn(words, "|");
	}
	return true;
}

static int set_row(struct options *options, const struct option_row *row, const char *value, struct err *err)
{
	uint64_t number;

	switch (row->kind) {
	case FLAG:
		if (value)
			return err_set(err, EINVAL, "option %s takes no value", row->name);
		*(bool *)member(options, row) = true;
		return 0;
	case NUMBER:
		if (!value || !num_parse_whole(value, strlen(value), &number))
			return err_set(err, EINVAL, "option %s takes a number", row->name);
		if (number < min_of(row) || number > max_of(row))
			return err_set(err, ERANGE, "option %s takes %" PRIu64 " to %" PRIu64, row->name,
				min_of(row), max_of(row));
		*(unsigned *)member(options, row) = (unsigned)number;
		return 0;
	case TEXT:
	case DIRECTORY:
		break;
	}
	if (!value || !*value)
		return err_set(err, EINVAL, "option %s takes a value", row->name);
	if (row->words && !is_word_of(row->words, value))
		return err_set(err, EINVAL, "option %s takes %s", row->name, row->words);
	char *copy = strdup(value), **text = member(options, row);
	if (!copy)
		return err_set(err, ENOMEM, "no memory");
	free(*text);
	*text = copy;
	return 0;
}

static const struct option_row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	}
	return NULL;
}

bool options_has(const char *name, size_t len)
{
	return find_row(name, len) != NULL;
}

int options_set(struct options *options, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	const struct option_row *row = find_row(text, n);

	return row ? set_row(options, row, equals ? equals + 1 : NULL, err)
		   : err_set(err, EINVAL, "there is no option `%.*s`", (int)n, text);
}

int options_set_all(struct options *options, const char *text, struct err *err)
{
	CLEANUP_FREE char *copy = strdup(text);
	char *rest = copy, *one;
	int r = copy ? 0 : err_set(err, ENOMEM, "no memory");

	while (!r && (one = strsep(&rest, ","))) {
		if (*one)
			r = options_set(options, one, err);
	}
	return r;
}

/* A node's name: [A-Za-z0-9][A-Za-z0-9._-]{0,63}; what is not allowed becomes `_`, or `n` at the front. */
static void map_node_name(char *name)
{
	if (strlen(name) > 64)
		name[64] = 0;
	for (char *at = name; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
			*at = '_';
	}
	if (!isalnum((unsigned char)*name))
		*name = 'n';
}

static int default_to(char **option, const char *base, const char *below, struct err *err)
{
	if (*option)
		return 0;
	if (asprintf(option, "%s%s", base, below) < 0) {
		*option = NULL;
		return err_set(err, ENOMEM, "no memory");
	}
	return 0;
}

int options_default_directories(struct options *options, struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	char fallback[64];
	int r;

	if (!geteuid()) {
		r = default_to(&options->run, "/run/memfs", "", err);
		return r ? r : default_to(&options->state, "/var/lib/memfs", "", err);
	}
	snprintf(fallback, sizeof(fallback), "/tmp/memfs-%u", (unsigned)geteuid());
	r = default_to(&options->run, runtime && *runtime == '/' ? runtime : fallback,
		runtime && *runtime == '/' ? "/memfs" : "", err);
	if (r)
		return r;
	if (state && *state == '/')
		return default_to(&options->state, state, "/memfs", err);
	return default_to(
		&options->state, home && *home == '/' ? home : fallback, "/.local/state/memfs", err);
}

/* The path itself may be a dead mount, which realpath cannot pass: the way to it is resolved, the last name
 * kept. */
static int make_absolute(char **path, struct err *err)
{
	CLEANUP_FREE char *copy = strdup(*path), *parent = NULL;
	char *name, *whole = NULL;

	if (!copy)
		return err_set(err, ENOMEM, "no memory");
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	name = strrchr(copy, '/');
	const char *last = name ? name + 1 : copy;
	if (!strcmp(last, ".") || !strcmp(last, "..") || !*last) {
		whole = realpath(copy, NULL);
	} else {
		if (name)
			*name = 0;
		parent = realpath(name ? (*copy ? copy : "/") : ".", NULL);
		if (parent && asprintf(&whole, "%s/%s", strcmp(parent, "/") ? parent : "", last) < 0)
			whole = NULL;
	}
	if (!whole)
		return err_set(err, errno, "%s: %s", *path, strerror(errno));
	free(*path);
	*path = whole;
	return 0;
}

/* A symbolic link as the last name leads to what is mounted on. */
static int follow_link(char **path, struct err *err)
{
	struct stat st;
	char *target;

	if (lstat(*path, &st) || !S_ISLNK(st.st_mode))
		return 0;
	target = realpath(*path, NULL);
	if (!target)
		return err_set(err, errno, "%s: %s", *path, strerror(errno));
	free(*path);
	*path = target;
	return 0;
}

/* A directory of ours, made where it is not there; *path becomes absolute and without links. */
static int finish_own(char **path, mode_t mode, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;
	int r = own_dir_make(*path, mode, err);

	if (r || (r = make_absolute(path, err)) || (r = follow_link(path, err)))
		return r;
	return own_dir_open(*path, err, &fd);
}

int options_finish(struct options *options, const char *dir, struct err *err)
{
	struct utsname names;
	int r;

	uname(&names);
	options->owner_uid = geteuid();
	options->owner_gid = getegid();
	if ((r = options_default_directories(options, err)) ||
		(r = default_to(&options->proc, "/", "", err)) ||
		(r = default_to(&options->host, names.nodename, "", err)) ||
		(r = default_to(&options->node, options->host, "", err)) ||
		(r = default_to(&options->dir, dir, "", err)))
		return r;
	map_node_name(options->node);
	if ((r = finish_own(&options->run, geteuid() ? 0700 : 0755, err)) ||
		(r = finish_own(&options->state, 0750, err)) || (r = make_absolute(&options->proc, err)) ||
		(r = make_absolute(&options->dir, err)))
		return r;
	return follow_link(&options->dir, err);
}

void options_put(const struct options *options, struct buf *out)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const void *value = member(options, &rows[i]);
		bool set = is_text(&rows[i])      ? *(char *const *)value != NULL
			   : rows[i].kind == FLAG ? *(const bool *)value
						  : *(const unsigned *)value || !min_of(&rows[i]);
		if (!set || rows[i].is_alias)
			continue;
		buf_puts(out, rows[i].name);
		if (is_text(&rows[i]))
			buf_printf(out, "=%s", *(char *const *)value);
		else if (rows[i].kind == NUMBER)
			buf_printf(out, "=%u", *(const unsigned *)value);
		buf_putc(out, 0);
	}
}

bool options_describe(size_t i, struct option_info *ret)
{
	if (i >= N_ROWS || !rows[i].doc) /* what is not for people stands behind */
		return false;
	*ret = (struct option_info) { rows[i].name, rows[i].kind != FLAG, rows[i].kind == DIRECTORY };
	return true;
}

void options_put_doc(size_t i, struct buf *out)
{
	const struct setting_row *setting = rows[i].setting;

	buf_puts(out, rows[i].doc);
	if (setting)
		buf_printf(out, "; %" PRIu64 " to %" PRIu64 " (the setting %s, %" PRIu64 ")", setting->min,
			setting->max, setting->name, setting->initial);
}

void options_help(struct buf *out)
{
	struct option_info option;

	for (size_t i = 0; options_describe(i, &option); i++) {
		buf_printf(out, "  %s%-*s ", option.name, 19 - (int)strlen(option.name),
			option.takes_value ? "=" : "");
		options_put_doc(i, out);
		buf_putc(out, '\n');
	}
}

const char *options_fixing(enum setting setting)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].setting == &setting_rows[setting])
			return rows[i].name;
	}
	return NULL;
}

void options_deinit(struct options *options)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (is_text(&rows[i]))
			free(*(char **)member(options, &rows[i]));
	}
	*options = OPTIONS_INIT;
}
