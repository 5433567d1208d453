-- SPDX-License-Identifier: MIT
-- What remains of processes that ended. NULL is what was never known: of the shortest, little is.
CREATE TABLE ended (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
	boot INTEGER NOT NULL,                -- boot.id
	pid INTEGER NOT NULL,
	start_ticks INTEGER NOT NULL,         -- (boot, pid, start_ticks): as in subject
	start_ns INTEGER NOT NULL,            -- when it began
	end_ns INTEGER NOT NULL,              -- when it ended; where nobody saw it, when it was found to be gone
	start_s INTEGER AS (start_ns / 1000000000), -- PID-START_S is its name in ended/,
	nth INTEGER NOT NULL,                 -- with -NTH behind it for the second of that name, the third, ...
	reason TEXT NOT NULL,                 -- exit N, signal N SIGNAME [core], oom, unknown
	brief INTEGER NOT NULL,               -- 1: short and without a sign of failure; goes before others
	comm TEXT,                            -- its last name; control bytes and backslash as \ooo
	args TEXT,                            -- its command line; the same
	state TEXT,                           -- letter, as last seen while it lived
	ppid INTEGER,
	uid INTEGER,                          -- real user
	gid INTEGER,                          -- real group
	threads INTEGER,
	stat TEXT,                            -- JSON object: the last values by their names, in base units
	rate TEXT,                            -- JSON object: the last rates, as rss_1s
	UNIQUE (boot, pid, start_ticks),
	UNIQUE (pid, start_s, nth)
);
-- For retention: the oldest go first, of the brief ones and of the others.
CREATE INDEX ended_by_age ON ended (brief, end_ns);
-- For listings, which are long and need no more.
CREATE INDEX ended_names ON ended (id, pid, start_s, nth);
PRAGMA user_version = 4;
