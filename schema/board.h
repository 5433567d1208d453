/* SPDX-License-Identifier: MIT */
/*
 * The board: what must be remembered to be known, published by the collector in shared memory and read by
 * serve and the doors without a syscall. A sparse memfd sized once, with one slot for every possible pid; the
 * collector maps it writable, readers map it read-only through a descriptor that cannot write.
 *
 * Each slot is a seqlock: odd while it is written. A reader copies, compares, and gives up after a bounded
 * number of tries (a writer that died in the middle leaves it odd). All words are atomics, so that no read is
 * a race. Nothing read here is trusted as an index or a length.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/leak.h"
#include "schema/metrics.h"
#include "schema/note.h"
#include "schema/settings.h"

enum {
	BOARD_PIDS = 4194304, /* the kernel's PID_MAX_LIMIT on 64 bits */
	BOARD_RING = 65536,   /* events; a power of two */
	BOARD_NEWS = 8192,    /* entries; a power of two */
	BOARD_NEWS_TEXT = 200,
	BOARD_COMM = 16,                         /* TASK_COMM_LEN, with its NUL */
	BOARD_NEWS_SUBJECT = 9 + 4 * BOARD_COMM, /* "by-name/" and an escaped comm, with a NUL */
	BOARD_FIRING = 4096,
	BOARD_CGROUPS = 65536, /* units that processes are in at a time */
	BOARD_CGROUP_PATH = 1000,
	BOARD_LEAKS = 4096, /* processes with a shadow region */
	BOARD_READ_TRIES = 64,
};

/* What happened to processes, for readers that keep copies (names, listings, owners). */
enum board_event_kind {
	BOARD_BIRTH = 1, /* first seen */
	BOARD_EXEC,      /* comm, and perhaps owner, changed */
	BOARD_COMM_CHANGE,
	BOARD_OWNER, /* uid or gid changed */
	BOARD_DEATH,
	BOARD_CGROUP, /* found in another unit than before */
};

struct board_event {
	uint32_t kind;
	uint32_t pid;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat: with pid and boot the identity of a process */
};

/* What people are told in `events`: a second ring, with words. */
enum board_news_kind {
	NEWS_START,
	NEWS_EXIT,
	NEWS_GROWTH,
	NEWS_LEAK,
	NEWS_TIER,
	NEWS_ADVICE,
	NEWS_ALERT,
	NEWS_NODE,
	NEWS_CONFIG,
	NEWS_DROPPED,
	N_NEWS_KINDS,
};
extern const char *const board_news_kind_name[N_NEWS_KINDS];

struct board_news {
	uint64_t seq;                     /* assigned by board_push_news, from 1, without gaps */
	int64_t time_ns;                  /* epoch */
	uint32_t kind;                    /* enum board_news_kind */
	uint32_t pid;                     /* of the process that is the subject; 0: none is */
	char subject[BOARD_NEWS_SUBJECT]; /* empty: pid/N, or node where pid is 0; escaped, NUL-terminated */
	char text[BOARD_NEWS_TEXT];       /* the same, one line */
};

/* The subject as people read it: node, pid/N, by-name/X. Returns it: a part of news, or of array. */
const char *board_news_subject(const struct board_news *news, char array[static BOARD_NEWS_SUBJECT]);

/* A signed rate per second, bytes or count; BOARD_RATE_UNKNOWN while the process is younger than the window.
 */
#define BOARD_RATE_UNKNOWN INT64_MIN

/* A process as last sampled. Plain values: board_read_process copies one out. */
struct board_process {
	uint32_t pid;
	uint32_t ppid;
	uint32_t uid, gid; /* real */
	uint32_t threads;
	char state; /* /proc's letter */
	bool kernel_thread;
	char comm[BOARD_COMM];
	uint64_t start_ticks;
	int64_t start_ns;    /* epoch */
	int64_t sampled_ns;  /* epoch: when what is here was found; since then nothing of it changed */
	int64_t measured_ns; /* epoch: when pss, uss, dirty were measured; 0 never */
	struct process_values values;
	int64_t rate[N_PROCESS_RATES][N_WINDOWS];
	uint64_t cgroup; /* for board_read_cgroup; 0: in no unit, or not known yet */
};

/*
 * The cgroup of a unit that processes are in. Its id is never used again for another one: id % BOARD_CGROUPS
 * is its slot on the board.
 */
struct board_cgroup {
	uint64_t id;
	uint32_t hierarchies;         /* of enum cgroup_hierarchy: where path is a cgroup */
	uint32_t len;                 /* of path, below BOARD_CGROUP_PATH */
	char path[BOARD_CGROUP_PATH]; /* NUL-terminated: "/system.slice/sshd.service", cut behind the unit */
};

/* What a process that can be traced has, as last counted. */
struct board_leaks {
	uint32_t pid;
	uint32_t padding;
	uint64_t start_ticks;
	uint64_t min_age_s; /* in force for it */
	struct leak_stat stat;
};

struct board_system {
	int64_t sampled_ns; /* epoch */
	struct system_values values;
	int64_t rate[N_SYSTEM_RATES][N_WINDOWS];
};

/* The collector's own health. */
struct board_health {
	uint64_t generation; /* ticks since the board was made; never goes back */
	int64_t tick_ns;     /* CLOCK_MONOTONIC of the last tick: its age tells whether the collector lives */
	uint32_t collector_pid;
	uint32_t interval_ms;
	uint64_t tick_us;  /* the whole tick: sweep, rates, board, hand-over to history */
	uint64_t sweep_us; /* reading of /proc alone */
	uint64_t processes;
	uint64_t history_bytes; /* size of the database with its WAL; 0 while history is absent */
	uint64_t dropped;       /* ticks or events lost, of any kind */
	uint32_t history_state; /* enum board_history */
	uint32_t births_from;   /* enum board_births: proc connector, or the sweep alone */
	uint64_t boot_ns;       /* epoch of the boot, as start_ns is computed from */
	uint32_t sweep;         /* enum board_sweep */
	uint64_t recorded;      /* programs whose shadow regions are open and that run */
	uint64_t recorded_total, recorded_refused_total; /* since the board was made */
};
enum board_sweep { BOARD_SWEEP_PORTABLE, BOARD_SWEEP_BPF, BOARD_SWEEP_BPF_ITERATOR, N_BOARD_SWEEPS };
extern const char *const board_sweep_name[N_BOARD_SWEEPS];
enum board_history { BOARD_HISTORY_ABSENT, BOARD_HISTORY_OK, BOARD_HISTORY_FULL, BOARD_HISTORY_READ_ONLY };
enum board_births { BOARD_BIRTHS_SWEEP, BOARD_BIRTHS_CONNECTOR };

/* What was found to be out of bounds and told as such, so that no later collector tells it again. */
struct board_firing {
	uint64_t n;
	struct {
		uint64_t rule;        /* hash of the rule's line; 0: growth */
		uint64_t start_ticks; /* with pid: of the process; 0 where the rule speaks of no single one */
		uint64_t pid;
	} entry[BOARD_FIRING];
};

struct board; /* a mapping of it */

/* Makes the memfd, sized and sealed against resizing. Returns the descriptor or -errno. */
int board_create(void);

/* A read-only descriptor of the same memory, for readers. Returns it or -errno. */
int board_reopen_read_only(int fd);

/* Maps the board; checks magic, layout and seals. The descriptor stays the caller's. 0 or -errno. */
int board_map(int fd, bool writable, struct board **ret_board);
void board_unmap(struct board *board);

/* --- Writing: the collector alone --- */
/*
 * The first call of a writer. Makes whole what a predecessor that was killed left half-written (a process
 * that it was writing is not on the board then) and stores its health, zeros on a new board. Rings go on
 * where they stood.
 */
void board_take_over(struct board *board, struct board_health *ret_health);
void board_write_process(struct board *board, const struct board_process *process);
void board_clear_process(struct board *board, uint32_t pid);
/* Gives back the memory of processes that were cleared since the last call. */
void board_trim(struct board *board);
/* Writes the slot of cgroup->id, whatever was in it; board_clear_cgroup empties it and keeps the id in sight.
 */
void board_write_cgroup(struct board *board, const struct board_cgroup *cgroup);
void board_clear_cgroup(struct board *board, uint64_t id);
/* A slot is below BOARD_LEAKS, and whoever writes knows whose it is. */
void board_write_leaks(struct board *board, uint32_t slot, const struct board_leaks *leaks);
void board_clear_leaks(struct board *board, uint32_t slot);
void board_write_system(struct board *board, const struct board_system *system);
void board_write_health(struct board *board, const struct board_health *health);
void board_push_event(struct board *board, struct board_event event);
void board_write_settings(struct board *board, const struct settings *settings);
void board_write_note(struct board *board, enum note id, const struct note_text *note);
void board_write_firing(struct board *board, const struct board_firing *firing);

/* On a board that never had news: the next will have the number seq + 1. */
void board_resume_news(struct board *board, uint64_t seq);

/* Appends to the news and wakes whoever waits in board_wait_news. seq is filled in. */
void board_push_news(struct board *board, struct board_news *news);

/* --- Reading: never blocks, never fails for long --- */
enum board_outcome { BOARD_FOUND = 0, BOARD_ABSENT = 1, BOARD_BUSY = 2 };
enum board_outcome board_read_process(const struct board *board, uint32_t pid, struct board_process *ret);
enum board_outcome board_read_cgroup(const struct board *board, uint64_t id, struct board_cgroup *ret);
/* What is in a slot below board_cgroup_slots(); of an empty one the id that it had, and len 0. */
enum board_outcome board_read_cgroup_slot(const struct board *board, uint32_t slot, struct board_cgroup *ret);
uint32_t board_cgroup_slots(const struct board *board); /* that were ever used */
/* What is in a slot below board_leak_slots(); ABSENT where it is nobody's. */
enum board_outcome board_read_leak_slot(const struct board *board, uint32_t slot, struct board_leaks *ret);
uint32_t board_leak_slots(const struct board *board); /* that were ever used */
/* The slot of a process; BOARD_LEAKS where it has none. */
uint32_t board_find_leaks(const struct board *board, uint32_t pid, uint64_t start_ticks);
enum board_outcome board_read_system(const struct board *board, struct board_system *ret);
enum board_outcome board_read_health(const struct board *board, struct board_health *ret);

/* The smallest live pid >= from; 0 where there is none. Ascending pids without a directory read. */
uint32_t board_next_pid(const struct board *board, uint32_t from);

/* The sequence number that the next event will have. */
uint64_t board_event_head(const struct board *board);

/*
 * The event with number seq. BOARD_ABSENT: not there yet. BOARD_BUSY: overwritten since; the reader lost
 * events and must look at everything anew.
 */
enum board_outcome board_read_event(const struct board *board, uint64_t seq, struct board_event *ret);

/* The settings in force; BOARD_ABSENT before a collector published any. */
enum board_outcome board_read_settings(const struct board *board, struct settings *ret);

/* A note as it reads back; the same. */
enum board_outcome board_read_note(const struct board *board, enum note id, struct note_text *ret);
enum board_outcome board_read_firing(const struct board *board, struct board_firing *ret);

/* The seq of the newest news, 0 before the first. */
uint64_t board_news_head(const struct board *board);

/* News number seq; outcomes as for board_read_event. */
enum board_outcome board_read_news(const struct board *board, uint64_t seq, struct board_news *ret);

/* Sleeps (futex on the mapping) until the newest news is beyond seq, or timeout_ms passed, or a signal came.
 */
void board_wait_news(const struct board *board, uint64_t seq, int timeout_ms);
