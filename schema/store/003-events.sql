-- SPDX-License-Identifier: MIT
-- What happened, and the notes that people keep.

-- Past events, in the order in which they came. Of a storm of starts and exits a part, and how many are missing.
CREATE TABLE event (
	id INTEGER PRIMARY KEY,               -- order; the oldest are deleted
	seq INTEGER NOT NULL,                 -- as in `events`; of dropped ones the last
	time_ns INTEGER NOT NULL,
	kind TEXT NOT NULL,                   -- start exit growth leak tier advice alert node config dropped
	subject TEXT NOT NULL,                -- node, pid/N or by-name/X; control bytes and backslash as \ooo
	text TEXT NOT NULL                    -- the same
);

-- alerts and tags, as they read.
CREATE TABLE note (
	name TEXT PRIMARY KEY,                -- as in the mount
	text TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 3;
