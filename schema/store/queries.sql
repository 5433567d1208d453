-- SPDX-License-Identifier: MIT
-- Every statement of the store. A line "-- name: x" begins statement QUERY_X; see gen-queries.py.

-- name: begin
BEGIN IMMEDIATE
-- name: commit
COMMIT
-- name: rollback
ROLLBACK
-- name: snapshot
BEGIN
-- name: application_id
PRAGMA application_id
-- name: version
PRAGMA user_version
-- name: tables
SELECT count(*) FROM sqlite_schema

-- The order matters: auto_vacuum counts only before the first table, and the journal mode writes the first page.
-- name: setup_vacuum
PRAGMA auto_vacuum = INCREMENTAL
-- name: setup_wal
PRAGMA journal_mode = WAL
-- name: setup_sync
PRAGMA synchronous = NORMAL
-- A WAL that a long reader let grow is cut to this when it is begun anew.
-- name: setup_wal_limit
PRAGMA journal_size_limit = 8388608
-- name: setup_reader
PRAGMA query_only = 1

-- name: quick_check
PRAGMA quick_check(1)
-- name: get_closed
SELECT closed FROM state
-- name: put_closed
UPDATE state SET closed = ?1

-- name: put_boot
INSERT INTO boot (uuid, boot_s) VALUES (?1, ?2) ON CONFLICT (uuid) DO UPDATE SET boot_s = excluded.boot_s RETURNING id
-- What lived in an earlier boot ended by this one at the latest.
-- name: end_earlier_boots
UPDATE subject SET end_s = ?2 WHERE end_s = 0 AND id > 0 AND boot < ?1
-- name: put_subject
INSERT INTO subject (boot, pid, start_ticks, uid, start_s, end_s, comm) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (boot, pid, start_ticks) DO UPDATE SET uid = excluded.uid, end_s = excluded.end_s, comm = excluded.comm
RETURNING id
-- name: end_subject
UPDATE subject SET end_s = ?2 WHERE id = ?1
-- name: rename_subject
UPDATE subject SET comm = ?2, uid = ?3 WHERE id = ?1
-- name: find_subject
SELECT id FROM subject WHERE boot = (SELECT max(id) FROM boot) AND pid = ?1 AND start_ticks = ?2
-- name: each_open_subject
SELECT id, boot, pid, uid, start_ticks, start_s, end_s, comm FROM subject INDEXED BY subject_by_end
WHERE end_s = 0 AND boot = ?1
-- name: get_subject
SELECT id, boot, pid, uid, start_ticks, start_s, end_s, comm FROM subject WHERE id = ?1

-- For a walk that leaps where few are wanted.
-- name: each_subject_from
SELECT id, boot, pid, uid, start_ticks, start_s, end_s, comm FROM subject WHERE id >= ?1 ORDER BY id

-- name: each_subject
SELECT id, boot, pid, uid, start_ticks, start_s, end_s, comm FROM subject
WHERE id > 0 AND (?1 IS NULL OR pid = ?1) AND (?2 IS NULL OR comm = ?2) AND (end_s = 0 OR end_s >= ?3) ORDER BY id

-- name: put_journal
INSERT INTO journal (time_ns, tick) VALUES (?1, ?2)
-- name: each_journal
SELECT seq, time_ns, tick FROM journal WHERE time_ns >= ?1 AND time_ns < ?2 AND seq <= ?3 ORDER BY seq
-- name: oldest_journal
SELECT seq, time_ns FROM journal ORDER BY seq LIMIT 1
-- name: newest_journal
SELECT seq, time_ns FROM journal ORDER BY seq DESC LIMIT 1
-- name: last_journal
SELECT max(seq) FROM journal WHERE time_ns >= ?1 AND time_ns < ?2
-- name: delete_journal
DELETE FROM journal WHERE time_ns >= ?1 AND time_ns < ?2 AND seq <= ?3

-- name: put_minute
INSERT INTO minute (subject, minute, samples) VALUES (?1, ?2, ?3)
ON CONFLICT (subject, minute) DO UPDATE SET samples = excluded.samples
-- name: each_minute
SELECT minute, samples FROM minute WHERE subject = ?1 AND minute BETWEEN ?2 AND ?3 ORDER BY minute
-- name: each_of_minute
SELECT subject, samples FROM minute INDEXED BY minute_by_age WHERE minute = ?1 ORDER BY subject
-- name: has_minute
SELECT 1 FROM minute INDEXED BY minute_by_age WHERE minute = ?1 LIMIT 1
-- name: has_unit
SELECT 1 FROM node_minute WHERE minute = ?1
-- name: oldest_minute
SELECT min(minute) FROM minute INDEXED BY minute_by_age

-- name: put_setting
INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
-- name: each_setting
SELECT name, value FROM setting ORDER BY name
-- name: put_metric
INSERT INTO metric (scope, place, name) VALUES (?1, ?2, ?3) ON CONFLICT (scope, place) DO UPDATE SET name = excluded.name

-- Levels. {node_names} and its like are the columns of metrics.def; see store_statement.
-- name: each_column
SELECT name FROM pragma_table_info(?1)
-- name: add_column
ALTER TABLE {table} ADD COLUMN {column} INTEGER

-- name: put_node_minute
INSERT OR REPLACE INTO node_minute (minute, samples, since{node_names}) VALUES (?1, ?2, ?3{node_marks})
-- name: put_node_hour
INSERT OR REPLACE INTO node_hour (hour, samples, since{node_names}) VALUES (?1, ?2, ?3{node_marks})
-- name: put_process_minute
INSERT OR REPLACE INTO process_minute (minute, samples, ended, subject{process_names}) VALUES (?1, ?2, ?3, ?4{process_marks})
-- name: put_process_hour
INSERT OR REPLACE INTO process_hour (hour, samples, ended, subject{process_names}) VALUES (?1, ?2, ?3, ?4{process_marks})
-- name: each_node_minute
SELECT minute, samples, since{node_names} FROM node_minute WHERE minute BETWEEN ?1 AND ?2 ORDER BY minute
-- name: each_node_hour
SELECT hour, samples, since{node_names} FROM node_hour WHERE hour BETWEEN ?1 AND ?2 ORDER BY hour
-- name: each_unit_minute
SELECT minute, samples, since FROM node_minute WHERE minute BETWEEN ?1 AND ?2 ORDER BY minute
-- name: each_unit_hour
SELECT hour, samples, since FROM node_hour WHERE hour BETWEEN ?1 AND ?2 ORDER BY hour
-- name: each_process_minute
SELECT minute, samples, ended{process_names} FROM process_minute
WHERE subject = ?3 AND minute BETWEEN ?1 AND ?2 ORDER BY minute
-- name: each_process_hour
SELECT hour, samples, ended{process_names} FROM process_hour
WHERE subject = ?3 AND hour BETWEEN ?1 AND ?2 ORDER BY hour
-- name: last_process_minute
SELECT minute, samples, ended{process_names} FROM process_minute
WHERE subject = ?3 AND minute BETWEEN ?1 AND ?2 ORDER BY minute DESC LIMIT 1
-- name: last_process_hour
SELECT hour, samples, ended{process_names} FROM process_hour
WHERE subject = ?3 AND hour BETWEEN ?1 AND ?2 ORDER BY hour DESC LIMIT 1
-- name: each_subject_of_seconds
SELECT subject, minute FROM minute INDEXED BY minute_by_age WHERE minute BETWEEN ?1 AND ?2
ORDER BY minute, subject
-- name: each_subject_of_minutes
SELECT subject, minute FROM process_minute INDEXED BY process_minute_by_age WHERE minute BETWEEN ?1 AND ?2
ORDER BY minute, subject
-- name: each_subject_of_hours
SELECT subject, hour FROM process_hour INDEXED BY process_hour_by_age WHERE hour BETWEEN ?1 AND ?2
ORDER BY hour, subject
-- name: anchor_minute
UPDATE node_minute SET since = ?1 WHERE minute >= ?1 AND since < ?1
-- name: anchor_hour
UPDATE node_hour SET since = ?1 WHERE hour >= ?1 AND since < ?1

-- name: put_open_hour
INSERT OR IGNORE INTO open_hour (hour) VALUES (?1)
-- name: delete_node_hour
DELETE FROM node_hour WHERE hour = ?1
-- name: delete_open_hour
DELETE FROM open_hour WHERE hour = ?1
-- name: oldest_open_hour
SELECT min(hour) FROM open_hour WHERE hour <> ?1

-- name: oldest_node_minute
SELECT min(minute) FROM node_minute
-- name: oldest_node_hour
SELECT min(hour) FROM node_hour
-- name: newest_minute
SELECT max(minute) FROM minute WHERE subject = 0
-- name: newest_node_minute
SELECT max(minute) FROM node_minute
-- name: newest_node_hour
SELECT max(hour) FROM node_hour

-- name: each_level
SELECT name, rows, bytes FROM level
-- What goes takes the average of its level with it.
-- name: count_level
UPDATE level SET rows = max(rows + ?2 - ?4, 0),
bytes = CASE WHEN rows + ?2 > ?4 THEN (bytes + ?3) - (bytes + ?3) / (rows + ?2) * ?4 ELSE 0 END WHERE name = ?1

-- name: expire_seconds
DELETE FROM minute WHERE (subject, minute) IN
(SELECT subject, minute FROM minute INDEXED BY minute_by_age WHERE minute < ?1 ORDER BY minute, subject LIMIT ?2)
-- name: expire_minutes
DELETE FROM process_minute WHERE (subject, minute) IN (SELECT subject, minute FROM process_minute
INDEXED BY process_minute_by_age WHERE minute < ?1 ORDER BY minute, subject LIMIT ?2)
-- name: expire_node_minutes
DELETE FROM node_minute WHERE minute IN (SELECT minute FROM node_minute WHERE minute < ?1 ORDER BY minute LIMIT ?2)
-- name: expire_hours
DELETE FROM process_hour WHERE (subject, hour) IN (SELECT subject, hour FROM process_hour
INDEXED BY process_hour_by_age WHERE hour < ?1 ORDER BY hour, subject LIMIT ?2)
-- name: expire_node_hours
DELETE FROM node_hour WHERE hour IN (SELECT hour FROM node_hour WHERE hour < ?1 ORDER BY hour LIMIT ?2)
-- Not those of whom the journal may still speak.
-- name: expire_ended_subjects
DELETE FROM subject WHERE id IN (SELECT id FROM subject AS old INDEXED BY subject_by_end
WHERE end_s > 0 AND end_s < ?1
AND end_s < (SELECT coalesce(min(time_ns), 9223372036854775807) / 1000000000 FROM journal)
AND NOT EXISTS (SELECT 1 FROM minute WHERE minute.subject = old.id)
AND NOT EXISTS (SELECT 1 FROM process_minute AS m WHERE m.subject = old.id)
AND NOT EXISTS (SELECT 1 FROM process_hour AS h WHERE h.subject = old.id) LIMIT ?2)

-- Of those that ended next, who never had a sample.
-- name: next_ended
SELECT max(end_s) FROM (SELECT end_s FROM subject INDEXED BY subject_by_end
WHERE end_s > ?1 AND end_s < ?2 ORDER BY end_s LIMIT ?3)
-- name: expire_unsampled_subjects
DELETE FROM subject WHERE id IN (SELECT id FROM subject AS old INDEXED BY subject_by_end
WHERE end_s > ?1 AND end_s <= ?2
AND end_s < (SELECT coalesce(min(time_ns), 9223372036854775807) / 1000000000 FROM journal)
AND NOT EXISTS (SELECT 1 FROM minute WHERE minute.subject = old.id)
AND NOT EXISTS (SELECT 1 FROM process_minute AS m WHERE m.subject = old.id)
AND NOT EXISTS (SELECT 1 FROM process_hour AS h WHERE h.subject = old.id))

-- Told of twice (by a collector and the one after it), it keeps its name, and what says more.
-- name: put_ended
INSERT INTO ended (boot, pid, start_ticks, start_ns, end_ns, reason, brief, comm, args, state, ppid, uid, gid, threads,
stat, rate, nth) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
(SELECT coalesce(max(nth), 0) + 1 FROM ended WHERE pid = ?2 AND start_s = ?4 / 1000000000))
ON CONFLICT (boot, pid, start_ticks) DO UPDATE SET end_ns = min(end_ns, excluded.end_ns), reason = excluded.reason,
brief = excluded.brief, comm = coalesce(excluded.comm, comm), args = coalesce(excluded.args, args),
state = coalesce(excluded.state, state), ppid = coalesce(excluded.ppid, ppid), uid = coalesce(excluded.uid, uid),
gid = coalesce(excluded.gid, gid), threads = coalesce(excluded.threads, threads), stat = coalesce(excluded.stat, stat),
rate = coalesce(excluded.rate, rate) WHERE reason = 'unknown'
-- One whose end nobody saw: all that is known of it is what its row says.
-- name: put_ended_subject
INSERT INTO ended (boot, pid, start_ticks, start_ns, end_ns, reason, brief, comm, uid, nth)
SELECT boot, pid, start_ticks, start_s * 1000000000, ?2 * 1000000000, 'unknown', 0, comm, uid,
(SELECT coalesce(max(nth), 0) + 1 FROM ended WHERE ended.pid = subject.pid AND ended.start_s = subject.start_s)
FROM subject WHERE id = ?1 ON CONFLICT (boot, pid, start_ticks) DO NOTHING
-- name: count_ended
SELECT count(*) FROM ended INDEXED BY ended_by_age WHERE brief = ?1
-- name: expire_ended
DELETE FROM ended WHERE id IN
(SELECT id FROM ended INDEXED BY ended_by_age WHERE brief = ?1 AND end_ns < ?2 ORDER BY end_ns LIMIT ?3)
-- name: each_ended_name
SELECT id, pid, start_s, nth FROM ended INDEXED BY ended_names WHERE id > ?1 ORDER BY id LIMIT ?2
-- name: find_ended
SELECT id FROM ended WHERE pid = ?1 AND start_s = ?2 AND nth = ?3
-- name: get_ended
SELECT id, pid, start_s, nth, start_ns, end_ns, reason, comm, args, state, ppid, uid, gid, threads,
(SELECT subject.id FROM subject WHERE subject.boot = ended.boot AND subject.pid = ended.pid
AND subject.start_ticks = ended.start_ticks) FROM ended WHERE id = ?1
-- name: each_ended_value
SELECT key, value FROM ended, json_each(ended.stat) WHERE ended.id = ?1
-- name: each_ended_rate
SELECT key, value FROM ended, json_each(ended.rate) WHERE ended.id = ?1

-- name: page_count
PRAGMA page_count
-- name: page_size
PRAGMA page_size
-- name: free_pages
PRAGMA freelist_count
-- name: vacuum
PRAGMA incremental_vacuum(500)

-- name: put_note
INSERT INTO note (name, text) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET text = excluded.text
-- name: each_note
SELECT name, text FROM note ORDER BY name
-- name: put_event
INSERT INTO event (seq, time_ns, kind, subject, text) VALUES (?1, ?2, ?3, ?4, ?5)
-- name: each_event
SELECT seq, time_ns, kind, subject, text FROM event ORDER BY id
-- name: last_event
SELECT seq FROM event ORDER BY id DESC LIMIT 1
-- By the clock only from the oldest on: where it jumped, order is what counts.
-- name: expire_events
DELETE FROM event WHERE id < (SELECT min(id) FROM event) + ?3
AND (id <= (SELECT max(id) FROM event) - ?1 OR time_ns < ?2)

-- name: put_ended_leaks
INSERT OR REPLACE INTO ended_leaks (boot, pid, start_ticks, made_ns, end_ns, uid, packed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
-- Of one whose beginning nobody saw the records began while it lived.
-- name: get_ended_leaks
SELECT l.pid, l.uid, l.packed FROM ended AS e JOIN ended_leaks AS l ON l.boot = e.boot AND l.pid = e.pid
AND (l.start_ticks = e.start_ticks OR (l.start_ticks = 0 AND l.made_ns BETWEEN e.start_ns - 1000000000 AND e.end_ns + 1000000000))
WHERE e.id = ?1 ORDER BY l.made_ns DESC LIMIT 1
-- name: has_ended_leaks
SELECT l.uid FROM ended AS e JOIN ended_leaks AS l ON l.boot = e.boot AND l.pid = e.pid
AND (l.start_ticks = e.start_ticks OR (l.start_ticks = 0 AND l.made_ns BETWEEN e.start_ns - 1000000000 AND e.end_ns + 1000000000))
WHERE e.id = ?1 LIMIT 1
-- name: ended_leaks_bytes
SELECT coalesce(sum(length(packed)), 0) FROM ended_leaks
-- name: expire_ended_leaks
DELETE FROM ended_leaks WHERE id IN
(SELECT id FROM ended_leaks INDEXED BY ended_leaks_by_age WHERE end_ns < ?1 ORDER BY end_ns LIMIT ?2)

-- name: put_leak_site
INSERT INTO leak_site (build_id, module, module_offset, symbol, minute) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (build_id, module, module_offset, symbol) DO UPDATE SET minute = max(minute, excluded.minute) RETURNING id
-- name: put_leak_minute
INSERT OR REPLACE INTO leak_minute (boot, pid, start_ticks, site, minute, live_bytes, live_blocks, suspect_bytes, suspect_blocks)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
-- By age, and what is beyond so many rows.
-- name: expire_leak_minutes
DELETE FROM leak_minute WHERE (boot, pid, start_ticks, site, minute) IN
(SELECT boot, pid, start_ticks, site, minute FROM leak_minute INDEXED BY leak_minute_by_age WHERE minute < max(?1,
(SELECT coalesce((SELECT minute FROM leak_minute INDEXED BY leak_minute_by_age ORDER BY minute DESC LIMIT 1 OFFSET ?2), ?1)))
ORDER BY minute LIMIT ?3)
-- name: expire_leak_sites
DELETE FROM leak_site WHERE minute < (SELECT coalesce(min(minute), 9223372036854775807) FROM leak_minute INDEXED BY leak_minute_by_age)
