/* SPDX-License-Identifier: MIT */
/* What `memfs mount -o` takes, with its defaults; also how the supervisor tells serve. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/settings.h"

struct options {
	char *dir;    /* mount point, absolute */
	char *run;    /* sockets, the live session */
	char *state;  /* history, id */
	char *proc;   /* the root of proc/ and sys/ */
	char *node;   /* name in the mount */
	char *host;   /* host name */
	char *id;     /* uuid of the node */
	char *source; /* what the mount is called in the kernel's list; NULL: as the node */
	char *sweep;  /* NULL: what the collector finds best; or the name of a sweep */
	bool single;
	unsigned freshness_ms;         /* 0: the node's setting */
	unsigned interval_ms;          /* 0: the node's setting */
	unsigned log_level;            /* 0..3 */
	unsigned owner_uid, owner_gid; /* of what belongs to no process */
};
#define OPTIONS_INIT ((struct options) { .log_level = 1 })

/* One `name=value`, or `single`. 0, or -EINVAL / -ERANGE with the reason. */
int options_set(struct options *options, const char *text, struct err *err);

/* `name=value,name=value`, as after -o. */
int options_set_all(struct options *options, const char *text, struct err *err);

/* run and state, where they were not given; nothing is made. 0 or -errno with the reason. */
int options_default_directories(struct options *options, struct err *err);

/*
 * Fills in what was not given and makes paths absolute: root has /run/memfs and /var/lib/memfs, an ordinary
 * user XDG_RUNTIME_DIR and XDG_STATE_HOME. The directories of run and state are made, and refused where
 * others could change them (fs/supervisor/own_dir.h). 0 or -errno with the reason.
 */
int options_finish(struct options *options, const char *dir, struct err *err);

/* Each option that is set as `name=value`, NUL-terminated one after the other: arguments for serve. */
void options_put(const struct options *options, struct buf *out);

/* Whether there is an option of that name. */
bool options_has(const char *name, size_t len);

/* What people can give, for help, manual and completion. */
struct option_info {
	const char *name;
	bool takes_value, is_directory;
};

/* The option of number i; false behind the last. */
bool options_describe(size_t i, struct option_info *ret);

/* What the option of number i is for: its range, its default, the setting that it fixes. */
void options_put_doc(size_t i, struct buf *out);

/* The names with a line each, for --help. */
void options_help(struct buf *out);

/* The option that fixes the setting for a mount; NULL where none does. */
const char *options_fixing(enum setting setting);

void options_deinit(struct options *options);
