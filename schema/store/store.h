/* SPDX-License-Identifier: MIT */
/*
 * The history database, and the only caller of sqlite3. One writer (the collector), any number of readers
 * (serve and the doors, without any right to write). Rows become structs here; no SQL is seen outside, and no
 * SQL stands in C: statements live in queries.sql, the schema in numbered migrations.
 *
 * Functions answer 0, a positive store_outcome, or -errno. The strings and blobs handed to callbacks live
 * until the callback returns; a callback that returns non-zero ends the walk, and the walk returns that
 * value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/err.h"
#include "schema/history/level.h"

enum { STORE_VERSION = 5 }; /* PRAGMA user_version: the number of migrations */

enum store_outcome {
	STORE_OK = 0,
	STORE_ABSENT = 1,  /* no such row; for the open of a reader: no database yet */
	STORE_DAMAGED = 2, /* not a database, or its pages are torn */
	STORE_NEWER = 3,   /* written by a later memfs: neither read nor set aside */
	STORE_FULL = 4,    /* no space on the device, or over the quota: nothing of the transaction is kept */
	STORE_READ_ONLY = 5, /* the directory or the file cannot be written */
	STORE_BUSY = 6,      /* another writer holds it */
	STORE_OLDER =
		7, /* for a reader: an earlier memfs wrote it, and no writer has brought it up to date */
};

struct store; /* a connection; one thread at a time */

/* Where in a state directory the database is, and the number that marks it as ours. */
#define STORE_FILE "history.db"
enum { STORE_APPLICATION_ID = 0x6d656d66 };

/* The minute of an epoch time, for times before the epoch too. */
static inline int64_t store_minute(int64_t time_ns)
{
	const int64_t ns = INT64_C(60000000000);
	return time_ns / ns - (time_ns % ns < 0);
}

/*
 * Opens for writing: creates the file 0640 with the directory's group, or migrates it in one transaction;
 * WAL, persistent, so that readers without write permission work after a clean close too. A quick integrity
 * check runs on a database that was not closed cleanly; what it has not found within two seconds is found
 * when the page is read. Outcomes: OK DAMAGED NEWER FULL READ_ONLY BUSY, with the reason in err.
 */
int store_open_writer(const char *state_dir, struct store **ret_store, struct err *err);

/* Opens for reading. Outcomes: OK ABSENT DAMAGED NEWER OLDER. */
int store_open_reader(const char *state_dir, struct store **ret_store, struct err *err);
void store_close(struct store *store); /* takes NULL */

/*
 * Renames a damaged database with its -wal and -shm to history.db.damaged-<UTC time>, so that a new one can
 * begin; stores the new name, without its folder. 0 or -errno.
 */
int store_set_aside(const char *state_dir, char *ret_name, size_t cap);

/* --- transactions (writer) --- */
/* ABSENT where the file was deleted or replaced under us: close, and open anew. */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);

/* --- subjects: the node (id 0) and every process that was ever sampled --- */
struct store_subject {
	int64_t id;
	int64_t boot; /* id of the boot, from store_put_boot */
	uint32_t pid;
	uint32_t uid;
	uint64_t start_ticks;
	int64_t start_s; /* epoch */
	int64_t end_s; /* epoch; 0 while it lives. Where the end was not seen: when it was found to be gone */
	const char *comm; /* escaped */
};
/* Finds or makes the row of a boot (its kernel-given uuid as text) and stores its id; ends what lived before
 * it. */
int store_put_boot(struct store *store, const char *boot_uuid, int64_t boot_s, int64_t *ret_boot);
/* Finds or makes the row of (boot, pid, start_ticks), with the other fields as given, and stores its id. */
int store_put_subject(struct store *store, const struct store_subject *subject, int64_t *ret_id);
int store_end_subject(struct store *store, int64_t id, int64_t end_s);
int store_rename_subject(struct store *store, int64_t id, const char *comm, uint32_t uid);
typedef int store_subject_fn(void *ctx, const struct store_subject *subject);
/* The processes of a boot that have no end yet. */
int store_each_open_subject(struct store *store, int64_t boot, store_subject_fn *fn, void *ctx);
/* The processes of any boot that had not ended before end_s: those of that pid (0: of any) and that name,
 * escaped (NULL: of any); by age. */
int store_each_subject(
	struct store *store, uint32_t pid, const char *comm, int64_t end_s, store_subject_fn *fn, void *ctx);
/* Of those ids, ascending, the ones that there are. */
int store_each_subject_of(struct store *store, const int64_t *ids, size_t n, store_subject_fn *fn, void *ctx);
/* Hands one subject to fn; ABSENT where there is none of that id. */
int store_get_subject(struct store *store, int64_t id, store_subject_fn *fn, void *ctx);
/* The id of a process of the newest boot. OK or ABSENT. */
int store_find_subject(struct store *store, uint32_t pid, uint64_t start_ticks, int64_t *ret_id);

/* --- journal: one row a tick that is not packed yet, in the order in which they were taken --- */
typedef int store_journal_fn(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len);
int store_put_journal(struct store *store, int64_t time_ns, const void *blob, size_t len, int64_t *ret_seq);
/* In order of seq, up to last_seq, those whose time is in the minutes [from, to]. */
int store_each_journal(
	struct store *store, int64_t from, int64_t to, int64_t last_seq, store_journal_fn *fn, void *ctx);
/* The first or the last row; ABSENT where there is none. */
int store_oldest_journal(struct store *store, int64_t *ret_seq, int64_t *ret_time_ns);
int store_newest_journal(struct store *store, int64_t *ret_seq, int64_t *ret_time_ns);
/* The last of those whose time is in a second of the epoch; ABSENT where there is none. */
int store_last_journal(struct store *store, int64_t time_s, int64_t *ret_seq);
/* Those of one minute, up to last_seq. */
int store_delete_journal(struct store *store, int64_t minute, int64_t last_seq);

/* --- packed minutes --- */
typedef int store_minute_fn(void *ctx, int64_t minute, const void *blob, size_t len);
/* minute = epoch seconds / 60. Replaces what was there. */
int store_put_minute(struct store *store, int64_t subject, int64_t minute, const void *blob, size_t len);
/* Whether anything has a packed minute of that number: OK or ABSENT. */
int store_has_minute(struct store *store, int64_t minute);
/* Whether the node has a row of that minute: OK or ABSENT. */
int store_has_unit(struct store *store, int64_t minute);
/* Ascending minutes in [from, to]. */
int store_each_minute(
	struct store *store, int64_t subject, int64_t from, int64_t to, store_minute_fn *fn, void *ctx);
/* Those of everybody of one minute, by subject. */
typedef int store_of_minute_fn(void *ctx, int64_t subject, const void *blob, size_t len);
int store_each_of_minute(struct store *store, int64_t minute, store_of_minute_fn *fn, void *ctx);

/* --- minutes and hours as rows; `unit` is the number of one: epoch seconds / 60, / 3600 --- */
/*
 * The node has a row for each unit. A process (subject > 0) has one where something changed: it stands for
 * the units of the node that follow, up to the process's next row, unless `ended`, and as long as their
 * `since` is not after it.
 */
struct store_unit {
	int64_t unit;
	int64_t since; /* of the node: the unit, at or before this one, whose rows name every process */
	struct level_row row;
};
typedef int store_level_fn(void *ctx, const struct store_unit *unit);
/* Replaces what was there. since counts for subject 0. */
int store_put_level(struct store *store, enum level level, int64_t subject, const struct store_unit *unit);
/* Its rows in [from, to], ascending. */
int store_each_level(struct store *store, enum level level, int64_t subject, int64_t from, int64_t to,
	store_level_fn *fn, void *ctx);
/* Its last row in [from, to]; ABSENT where there is none. */
int store_last_level(struct store *store, enum level level, int64_t subject, int64_t from, int64_t to,
	struct store_unit *ret_unit);
/* The node's units in [from, to], ascending, without their metrics. */
int store_each_unit(
	struct store *store, enum level level, int64_t from, int64_t to, store_level_fn *fn, void *ctx);
/* Whose rows of which unit there are in [from, to], by unit and subject; of LEVEL_SECONDS the packed minutes,
 * the node's included. */
typedef int store_level_subject_fn(void *ctx, int64_t subject, int64_t unit);
int store_each_level_subject(struct store *store, enum level level, int64_t from, int64_t to,
	store_level_subject_fn *fn, void *ctx);
/* Units from `unit` on no longer build on what was before it. */
int store_anchor_level(struct store *store, enum level level, int64_t unit);
/* The oldest or newest unit of a level (of LEVEL_SECONDS: minute); ABSENT where there is none. */
int store_oldest_unit(struct store *store, enum level level, int64_t *ret_unit);
int store_newest_unit(struct store *store, enum level level, int64_t *ret_unit);

/* Hours whose rows are to be made, from minutes. Opening one deletes the node's row of it. */
int store_open_hour(struct store *store, int64_t hour);
int store_oldest_open_hour(struct store *store, int64_t except, int64_t *ret_hour);
int store_close_hour(struct store *store, int64_t hour);

/* --- what remains of processes that ended (store_ended.c) --- */
struct store_ended_name {
	int64_t id; /* grows, and is never used again in this database */
	uint32_t pid;
	int64_t start_s;
	uint32_t nth; /* 1, or more where earlier ones have the same pid and start_s */
};
enum store_ended_known {
	STORE_ENDED_PPID = 1,
	STORE_ENDED_UID = 2,
	STORE_ENDED_GID = 4,
	STORE_ENDED_THREADS = 8,
};
struct store_ended {
	struct store_ended_name name; /* given by the store */
	int64_t subject;              /* whose samples are its history; 0: it has none */
	int64_t boot;                 /* to be stored alone, as is the next */
	uint64_t start_ticks;
	int64_t start_ns, end_ns; /* epoch */
	const char *reason;
	bool brief;       /* to be stored alone: it goes before others */
	unsigned known;   /* of enum store_ended_known */
	const char *comm; /* escaped; NULL where not known, as are the others */
	const char *args;
	const char *state;
	uint32_t ppid, uid, gid, threads;
	const char *stat, *rate; /* to be stored alone: JSON objects, name: number */
};
/* Of one that is there already, what is new is taken over where its reason was unknown. */
int store_put_ended(struct store *store, const struct store_ended *ended);
/* A subject that was found to be gone, where nothing else remains of it. */
int store_put_ended_subject(struct store *store, int64_t subject, int64_t end_s);
/*
 * Deletes those that ended before end_ns, and the oldest of those over `max` (brief ones apart from others);
 * at most `rows` of each kind. Stores how many went.
 */
int store_expire_ended(
	struct store *store, int64_t end_ns, const int64_t max[static 2], int rows, int *ret_deleted);

typedef int store_ended_name_fn(void *ctx, const struct store_ended_name *name);
/* At most `rows` with an id beyond `after`, ascending. */
int store_each_ended_name(struct store *store, int64_t after, int rows, store_ended_name_fn *fn, void *ctx);
/* Stores the id. OK or ABSENT. */
int store_find_ended(struct store *store, const struct store_ended_name *name, int64_t *ret_id);
typedef int store_ended_fn(void *ctx, const struct store_ended *ended);
/* Hands one to fn; ABSENT where there is none of that id. */
int store_get_ended(struct store *store, int64_t id, store_ended_fn *fn, void *ctx);
/* Its last values or rates, in no order. */
enum store_ended_numbers { STORE_ENDED_VALUES, STORE_ENDED_RATES };
typedef int store_ended_number_fn(void *ctx, const char *name, int64_t number);
int store_each_ended_number(struct store *store, int64_t id, enum store_ended_numbers which,
	store_ended_number_fn *fn, void *ctx);

/* --- what traced processes had (store_leaks.c) --- */
struct store_leaks {
	int64_t boot;
	uint32_t pid, uid;
	uint64_t start_ticks; /* 0: not known */
	int64_t made_ns, end_ns;
	const void *packed; /* schema/history/pack_leaks.h */
	size_t len;
};
/* What one had when it ended; replaces what was there of it. */
int store_put_ended_leaks(struct store *store, const struct store_leaks *leaks);
typedef int store_leaks_fn(void *ctx, const struct store_leaks *leaks);
/* Of the ended process with that id: pid, uid and what is packed. OK or ABSENT. */
int store_get_ended_leaks(struct store *store, int64_t ended, store_leaks_fn *fn, void *ctx);
/* Who may read it, beside root. OK or ABSENT. */
int store_has_ended_leaks(struct store *store, int64_t ended, int64_t *ret_uid);
/* Deletes those that ended before end_ns, and the oldest while all have more than max_bytes. */
int store_expire_ended_leaks(struct store *store, int64_t end_ns, int64_t max_bytes);

struct store_leak_minute {
	int64_t boot;
	uint32_t pid;
	uint64_t start_ticks;
	int64_t minute; /* epoch / 60 */
	const void *build_id;
	size_t build_id_len;
	const char *module, *symbol; /* escaped */
	uint64_t module_offset;
	uint64_t live_bytes, live_blocks, suspect_bytes, suspect_blocks;
};
int store_put_leak_minute(struct store *store, const struct store_leak_minute *minute);
/* Deletes at most `rows` of before `minute`, or beyond the newest `keep`, and sites that no row is of. */
int store_expire_leak_minutes(struct store *store, int64_t minute, int64_t keep, int rows);

/* --- settings --- */
typedef int store_pair_fn(void *ctx, const char *name, const char *text);
int store_put_setting(struct store *store, const char *name, const char *value);
int store_each_setting(struct store *store, store_pair_fn *fn, void *ctx);

/* --- notes: alerts, tags, as they read --- */
int store_put_note(struct store *store, const char *name, const char *text, size_t len);
int store_each_note(struct store *store, store_pair_fn *fn, void *ctx);

/* --- past events --- */
struct store_event {
	uint64_t seq;
	int64_t time_ns;                   /* epoch */
	const char *kind, *subject, *text; /* escaped */
};
int store_put_event(struct store *store, const struct store_event *event);
typedef int store_event_fn(void *ctx, const struct store_event *event);
/* All of them, in the order in which they came. */
int store_each_event(struct store *store, store_event_fn *fn, void *ctx);
/* The largest seq there is; ABSENT where there is no event. */
int store_last_event(struct store *store, uint64_t *ret_seq);
/* Deletes, of the oldest, those beyond the newest `keep` and those from before before_ns; at most `rows`. */
int store_expire_events(struct store *store, int64_t keep, int64_t before_ns, int rows);

/* --- what packed columns are, for those who read the file without memfs (scope: "system" or "process") ---
 */
int store_put_metric(struct store *store, const char *scope, unsigned place, const char *name);

/* --- upkeep (writer) --- */
/* Bytes of the database and its WAL on disk. */
int64_t store_bytes(struct store *store);
/* The WAL alone. */
int64_t store_wal_bytes(struct store *store);
/* The database without its WAL and the pages that are free: what deleting brings down. Negative on failure.
 */
int64_t store_used_bytes(struct store *store);
/* What each level takes on disk, estimated from its rows. */
int store_level_bytes(struct store *store, int64_t ret_bytes[N_LEVELS]);
/* Deletes at most `rows` rows of a level older than `unit` (of LEVEL_SECONDS: minute); stores how many went.
 */
int store_expire(struct store *store, enum level level, int64_t unit, int rows, int *ret_deleted);
/* Deletes at most `rows` subjects that ended before end_s and have no row in any level. */
int store_expire_subjects(struct store *store, int64_t end_s, int rows, int *ret_deleted);
/*
 * Deletes those of the next `rows` or so subjects that ended after *end_s and before before_s which have no
 * row in any level: they came and went between two ticks. *end_s moves on; ABSENT where none ended in that
 * time.
 */
int store_expire_unsampled(struct store *store, int64_t before_s, int rows, int64_t *end_s);
/* Gives free pages back to the file system; bounded work. */
int store_tidy(struct store *store);
/* Moves the WAL into the database and empties it, as far as readers let it: one that holds a snapshot is no
 * failure. */
int store_shorten_wal(struct store *store);
/* Runs every statement of checks.sql and a quick check: OK, or DAMAGED with the first violation in err. */
int store_check(struct store *store, struct err *err);

/*
 * --- one consistent view for a reader over several calls ---
 * Pairs may nest. A reader whose database was replaced since (set aside, deleted) is reopened on the new one.
 */
int store_snapshot_begin(struct store *store);
void store_snapshot_end(struct store *store);
