-- SPDX-License-Identifier: MIT
-- Minutes and hours as plain rows. The columns of their metrics are added when the database is opened, from
-- metrics.def: of a gauge NAME_avg and NAME_max, of a counter NAME, its value at the end. NULL is unknown.

-- The node: one row a minute and an hour in which there was a sample.
CREATE TABLE node_minute (
	minute INTEGER PRIMARY KEY,           -- epoch seconds / 60
	samples INTEGER NOT NULL,             -- seconds that have one
	since INTEGER NOT NULL                -- the minute whose rows name every process, that this one builds on
);
CREATE TABLE node_hour (
	hour INTEGER PRIMARY KEY,             -- epoch seconds / 3600
	samples INTEGER NOT NULL,
	since INTEGER NOT NULL
);

-- Processes: a row where something changed. It stands for the minutes that follow it, too, as long as the node has
-- them, up to the next row of the process, and while their `since` is not after it; not where it has ended.
CREATE TABLE process_minute (
	subject INTEGER NOT NULL,             -- subject.id
	minute INTEGER NOT NULL,
	samples INTEGER NOT NULL,             -- seconds that have one; 0: it was gone already
	ended INTEGER NOT NULL,               -- 1: it was gone at the end of this minute
	PRIMARY KEY (subject, minute)
) WITHOUT ROWID;
CREATE TABLE process_hour (
	subject INTEGER NOT NULL,
	hour INTEGER NOT NULL,
	samples INTEGER NOT NULL,
	ended INTEGER NOT NULL,
	PRIMARY KEY (subject, hour)
) WITHOUT ROWID;
CREATE INDEX process_minute_by_age ON process_minute (minute);
CREATE INDEX process_hour_by_age ON process_hour (hour);

-- Hours with minutes that are in no row of the hours yet.
CREATE TABLE open_hour (
	hour INTEGER PRIMARY KEY
);

-- What each level takes, for retention: bytes of its rows before they are laid out in pages.
CREATE TABLE level (
	name TEXT PRIMARY KEY,                -- seconds, minutes, hours
	rows INTEGER NOT NULL,
	bytes INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO level SELECT 'seconds', count(*), coalesce(sum(length(samples) + 12), 0) FROM minute;
INSERT INTO level VALUES ('minutes', 0, 0), ('hours', 0, 0);

-- For people: a row for every minute and hour of every process, those that nothing is written for included.
CREATE VIEW each_process_minute AS
SELECT s.pid, s.comm, s.uid, n.minute * 60 AS time_s, p.*
FROM subject AS s CROSS JOIN node_minute AS n JOIN process_minute AS p ON p.subject = s.id AND p.minute =
(SELECT max(q.minute) FROM process_minute AS q WHERE q.subject = s.id AND q.minute BETWEEN n.since AND n.minute)
WHERE p.samples > 0 AND (p.minute = n.minute OR NOT p.ended);
CREATE VIEW each_process_hour AS
SELECT s.pid, s.comm, s.uid, n.hour * 3600 AS time_s, p.*
FROM subject AS s CROSS JOIN node_hour AS n JOIN process_hour AS p ON p.subject = s.id AND p.hour =
(SELECT max(q.hour) FROM process_hour AS q WHERE q.subject = s.id AND q.hour BETWEEN n.since AND n.hour)
WHERE p.samples > 0 AND (p.hour = n.hour OR NOT p.ended);
PRAGMA user_version = 2;
