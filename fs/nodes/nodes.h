/* SPDX-License-Identifier: MIT */
/* The tables of the mount: one file for each directory of it, as the mount itself is laid out. */
#pragma once

#include "fs/node.h"
#include "schema/board.h"

extern const struct node root_node;              /* root.c: all hangs below it */
extern const struct node system_nodes[];         /* system.c: nodes/NODE/ */
extern const struct node process_nodes[];        /* process.c: nodes/NODE/PID/ */
extern const struct node group_nodes[];          /* groups.c: nodes/NODE/by-name/COMM/, by-user/NAME/ */
extern const struct node unit_nodes[];           /* groups.c: nodes/NODE/by-unit/UNIT/ */
extern const struct node numa_nodes[];           /* numa.c: nodes/NODE/numa/N/ */
extern const struct node history_nodes[];        /* history.c: history/ of a process, also one that ended */
extern const struct node system_history_nodes[]; /* the same of a node */
extern const struct node at_nodes[];             /* at.c: nodes/NODE/at/ */
extern const struct node ended_nodes[];          /* ended.c: nodes/NODE/ended/ */
extern const struct node leak_nodes[];           /* leaks.c: nodes/NODE/PID/leaks/ */
extern const struct node ended_leak_nodes[];     /* ended_leaks.c: nodes/NODE/ended/PID-STARTTIME/leaks/ */

extern const struct node_list node_list;    /* the nodes */
extern const struct node_list process_list; /* the pids of a node */
extern const struct node_list group_list;   /* groups of the kind that the row's arg says */
extern const struct node_list numa_list;    /* the NUMA nodes of a node */

/* Units of metrics.def as documentation names them. */
#define UNIT_BYTES   "bytes"
#define UNIT_COUNT   NULL
#define UNIT_PERCENT "percent"

/* README of a directory, made from the rows beside it. */
int readme_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out);
#define README                                                                                               \
	{                                                                                                    \
		"README", 0444, NODE_TABLE, NULL, "what each name here is", .render = readme_render          \
	}
/* Where the names are those that people choose, theirs come first and alone are listed. */
#define README_HIDDEN                                                                                        \
	{                                                                                                    \
		"README", 0444, NODE_TABLE, NULL, "what each name here is", .render = readme_render,         \
									    .hidden = true                   \
	}

/* Where a table of processes has its rows from, ascending by pid. A state of 0 and PROCESS_PPID_UNKNOWN are
 * not known. */
struct process_source {
	bool (*next)(struct process_source *source, struct board_process *ret); /* false at the end */
	/* What of it is a suspect, of the process that next gave last; false where it is not traced. NULL: of
	 * none it is known. */
	bool (*suspects)(
		struct process_source *source, const struct board_process *process, uint64_t *ret_bytes);
};
#define PROCESS_PPID_UNKNOWN UINT32_MAX
#define PROCESSES_STRINGS    "comm state"
enum top_order { TOP_RSS, TOP_SWAP, TOP_GROWTH, TOP_SUSPECT };
void processes_put(struct process_source *source, struct buf *out);
int processes_put_top(struct process_source *source, enum top_order order, struct buf *out); /* 0, -ENOMEM */

/* The same of now, from the board. */
int processes_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out);
int top_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out);

/* `stat` of a process. */
void process_stat_put(struct buf *out, const struct process_values *values);

/* Whether a machine tells of its NUMA nodes. */
bool numa_exists(struct view *view, const struct place *place);

/* --- leaks.c --- */

/* `stat` of leaks/, also of a process that ended. */
void leak_stat_put(struct buf *out, const struct leak_stat *stat);
/* `flame.svg` of what `folded` says. 0 or -errno. */
int leak_flame_put(struct buf *out, const struct buf *folded, const char *comm, uint32_t pid);
/* Whether anything is kept of an ended process's. */
bool ended_leaks_exist(struct view *view, const struct place *place);
/* `leaks` of a node: as many processes as the caller may look into. */
int leaks_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out);

/* --- events.c --- */

/* history/events. */
int past_events_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out);
/* alerts and tags, by the row's arg: the operation that writes it. */
int note_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out);
/* Hands a write of what the collector keeps to it; arg as above. */
int kept_write(struct view *view, const struct place *place, const struct caller *caller, const char *text,
	size_t len, const atomic_bool *cancelled, struct err *err);

struct ended_names;
int ended_names_new(struct ended_names **ret);
void ended_names_free(struct ended_names *names);
