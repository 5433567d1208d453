-- SPDX-License-Identifier: MIT
-- What traced processes had allocated and not freed.

-- A place in the code that allocates. Of one build it is one row, whatever process is in it.
CREATE TABLE leak_site (
	id INTEGER PRIMARY KEY,
	build_id BLOB NOT NULL,        -- of the module; empty: it has none
	module TEXT NOT NULL,          -- its path as first seen, control bytes and backslash as \ooo; empty: unknown
	module_offset INTEGER NOT NULL, -- of the return address, from where the module's addresses begin
	symbol TEXT NOT NULL,          -- function, or the name that the program gave; the same escapes; empty: unknown
	minute INTEGER NOT NULL,       -- epoch / 60: the last that speaks of it
	UNIQUE (build_id, module, module_offset, symbol)
);
-- What the largest sites of a process had at the end of a minute, where it is other than before.
CREATE TABLE leak_minute (
	boot INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	start_ticks INTEGER NOT NULL,  -- (boot, pid, start_ticks): as in subject
	site INTEGER NOT NULL REFERENCES leak_site,
	minute INTEGER NOT NULL,       -- epoch / 60
	live_bytes INTEGER NOT NULL,
	live_blocks INTEGER NOT NULL,
	suspect_bytes INTEGER NOT NULL,
	suspect_blocks INTEGER NOT NULL,
	PRIMARY KEY (boot, pid, start_ticks, site, minute)
) WITHOUT ROWID;
-- For retention.
CREATE INDEX leak_minute_by_age ON leak_minute (minute);
-- What a process had when it ended.
CREATE TABLE ended_leaks (
	id INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	start_ticks INTEGER NOT NULL,  -- 0: it ended before anybody saw when it began
	made_ns INTEGER NOT NULL,      -- epoch: when its records began
	end_ns INTEGER NOT NULL,
	uid INTEGER NOT NULL,          -- who may read it, beside root
	packed BLOB NOT NULL,          -- docs/history.md
	UNIQUE (boot, pid, start_ticks, made_ns)
);
CREATE INDEX ended_leaks_by_age ON ended_leaks (end_ns);
PRAGMA user_version = 5;
