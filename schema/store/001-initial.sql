-- SPDX-License-Identifier: MIT
-- The history of a node. Times end in their unit: _s and _ns are of the epoch. Blobs: docs/history.md.
PRAGMA application_id = 0x6d656d66;

-- The boots of the kernel: a process is known by (boot, pid, start time).
CREATE TABLE boot (
	id INTEGER PRIMARY KEY,               -- grows: the largest is the newest
	uuid TEXT NOT NULL UNIQUE,            -- /proc/sys/kernel/random/boot_id
	boot_s INTEGER NOT NULL               -- when it booted
);

-- What has samples: the node, id 0, and every process that was ever sampled.
CREATE TABLE subject (
	id INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,                -- boot.id; 0 for the node
	pid INTEGER NOT NULL,                 -- 0 for the node
	start_ticks INTEGER NOT NULL,         -- field 22 of /proc/PID/stat
	uid INTEGER NOT NULL,                 -- real user
	start_s INTEGER NOT NULL,             -- when it began
	end_s INTEGER NOT NULL DEFAULT 0,     -- when it was seen gone, or was not there after a restart; 0 while it lives
	comm TEXT NOT NULL,                   -- its last name; control bytes and backslash as \ooo
	UNIQUE (boot, pid, start_ticks)
);
CREATE INDEX subject_by_end ON subject (end_s);
INSERT INTO subject (id, boot, pid, start_ticks, uid, start_s, comm) VALUES (0, 0, 0, 0, 0, 0, 'node');

-- Ticks that are not packed yet, in the order in which they were taken.
CREATE TABLE journal (
	seq INTEGER PRIMARY KEY,              -- order; times may jump, this does not
	time_ns INTEGER NOT NULL,             -- when the tick was taken
	tick BLOB NOT NULL                    -- what changed since the tick before
);

-- Packed samples: one row a subject and minute, so that the past of one process lies together.
CREATE TABLE minute (
	subject INTEGER NOT NULL,             -- subject.id
	minute INTEGER NOT NULL,              -- epoch seconds / 60
	samples BLOB NOT NULL,                -- at most one sample a second, by column
	PRIMARY KEY (subject, minute)
) WITHOUT ROWID;
-- For retention: the oldest go first.
CREATE INDEX minute_by_age ON minute (minute);

-- The settings of the node that were changed by hand.
CREATE TABLE setting (
	name TEXT PRIMARY KEY,                -- as in config
	value TEXT NOT NULL                   -- decimal, in base units
) WITHOUT ROWID;

-- What the columns of packed samples are, for those who read this without memfs.
CREATE TABLE metric (
	scope TEXT NOT NULL,                  -- 'system': of subject 0; 'process': of all others
	place INTEGER NOT NULL,               -- column, from 0
	name TEXT NOT NULL,
	PRIMARY KEY (scope, place)
) WITHOUT ROWID;

-- How the last writer left this file. One row.
CREATE TABLE state (
	closed INTEGER NOT NULL               -- 1: in order; 0: it is open, or its writer died
);
INSERT INTO state VALUES (1);
PRAGMA user_version = 1;
