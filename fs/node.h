/* SPDX-License-Identifier: MIT */
/*
 * A mounted file is one row of a table, beside its handler in one file under fs/nodes/. The tables make the
 * tree, its documentation and every README in the mount; nothing else knows a path.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"

struct view;
struct node;

/* How a row is served; docs/ARCHITECTURE.md tells why. */
enum node_class {
	NODE_NONE, /* no file: a row that a metric does not want, passed over */
	NODE_DIR,
	NODE_LINK,    /* its render gives the target */
	NODE_NUMBER,  /* A: one page or less, world-readable, cheap; cached by the kernel until the next tick
		       */
	NODE_SETTING, /* B: reads back what would set it; the write returns when it is applied */
	NODE_TABLE,   /* C: longer, costly or private; a snapshot at each open, in the live session */
	NODE_STREAM,  /* D: blocks until there is news, in the live session */
};

/* Who asks. uid and gid of the thread that made the system call; pid is that thread's id, 0 if the mount
 * cannot see it. */
struct caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

enum { PLACE_NO_NAME = UINT32_MAX };

/* A row made concrete: which process, which chosen name, which length of time. */
struct place {
	uint16_t row;
	uint32_t pid;         /* 0: not below a process */
	uint32_t start_ticks; /* low half of the process's start time: tells a pid's users apart */
	uint32_t name;        /* what its list numbers: an index into the table of names, or a number of the
				 list's own; PLACE_NO_NAME: not below such a list */
	uint32_t span_s;      /* seconds, of a row that is there for any duration; 0: none */
};

/* Of a place with a span an id has room for fewer bits of the start time. */
enum { PLACE_SPAN_START_BITS = 16 };

static inline bool place_started(const struct place *place, uint64_t start_ticks)
{
	uint32_t mask = place->span_s ? (1U << PLACE_SPAN_START_BITS) - 1 : UINT32_MAX;
	return !(((uint32_t)start_ticks ^ place->start_ticks) & mask);
}

/* One entry of a directory. */
struct entry {
	struct place place;
	const struct node *node;
	char name[256];
};

/* Children that are not known beforehand: pids, names that people choose, times. */
struct node_list {
	/* The child with the smallest key > *key: stores it and its key. False at the end. Keys are stable
	 * over calls. NULL in a hidden row: its children are found, not listed. */
	bool (*next)(struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key,
		struct entry *ret);
	/* The child of that name. 0 or -ENOENT. */
	int (*find)(struct view *view, const struct place *dir, uint16_t child_row, const char *name,
		struct place *ret);
	/* How long the kernel may keep an entry without asking again, in milliseconds. 0: until the ticker
	 * tells it of births and deaths. */
	unsigned entry_timeout_ms;
	/* The name of a child in paths. NULL: its pid, or its text in the table of names. */
	void (*put_name)(struct view *view, const struct place *place, struct buf *out);
};

/* What the text of a row is made of; those that are not plain have a twin NAME.json. */
enum node_form {
	FORM_PLAIN,
	FORM_KEYED, /* lines of `key value` */
	FORM_TABLE, /* the names of the columns, then a line a row; TAB between columns */
};

struct node {
	const char *name; /* NULL: one entry for each child of `list` */
	mode_t mode;      /* permission bits */
	enum node_class class;
	const char *unit;  /* "bytes", "seconds", ... or NULL */
	const char *doc;   /* mandatory; for a `list` row what the children are, with `shown` as their name */
	const char *shown; /* PID, NODE, COMM: how documentation names the children of a `list` */

	/*
	 * Appends the content. 0 or -errno, which read(2) then brings. Numbers must not depend on the caller
	 * and never wait.
	 */
	int (*render)(
		struct view *view, const struct place *place, const struct caller *caller, struct buf *out);

	/* Applies one write(2), whole or not at all. 0 or -errno with the reason in err. May wait; ends soon
	 * after *cancelled. */
	int (*write)(struct view *view, const struct place *place, const struct caller *caller,
		const char *text, size_t len, const atomic_bool *cancelled, struct err *err);

	const struct node *children; /* of a directory; ends with a row without doc */
	const struct node_list *list;

	/* Whether this row is there for this process or group; NULL: always. Asked once a lookup and listing.
	 */
	bool (*exists)(struct view *view, const struct place *place);
	bool hidden; /* found by name, not listed */
	/* Of a directory: what is below takes time (the database), also to list. The main session shows a
	 * link to it; only rows that the live session has may stand below. */
	bool live;
	enum node_form form;
	const char *strings; /* of a form: columns or keys that are text, blanks between; others are numbers
				where they look like one */
	/* Its content is for who asks: each user has a file of their own, for what is spliced or mapped comes
	 * from pages that all who opened a file share. */
	bool per_user;
	/* The same below a chosen name, where an id has no room for a user: it can be read by read(2) only.
	 */
	bool unshared;
	/* Whose the file is, where that is not who mounted, nor below a process. 0 or -errno: root's then. */
	int (*owner)(struct view *view, const struct place *place, uid_t *ret_uid);
	/*
	 * Below a process, and for its owner and root alone, whatever the mode says: who that is, is asked
	 * anew at each open, for a process may have become another's. It can be read by read(2) only: pages
	 * that mmap and splice bring are those of all who opened the file.
	 */
	bool guarded;
	unsigned arg; /* for handlers that serve several rows: a metric's id */
};
