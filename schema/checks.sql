-- SPDX-License-Identifier: MIT
-- What is true of every history. Each statement returns one row a violation, with its subject or seq; run by
-- store_check(), and by tests after everything they do to a database.

-- name: minute_of_nobody
SELECT DISTINCT subject FROM minute WHERE subject NOT IN (SELECT id FROM subject)
-- name: subject_of_no_boot
SELECT id FROM subject WHERE id > 0 AND boot NOT IN (SELECT id FROM boot)
-- name: node_is_there
SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM subject WHERE id = 0 AND pid = 0)
-- name: ends_before_it_starts
SELECT id FROM subject WHERE end_s < 0
-- name: empty_minute
SELECT subject FROM minute WHERE length(samples) = 0
-- name: empty_tick
SELECT seq FROM journal WHERE length(tick) = 0
-- name: one_state
SELECT 0 WHERE (SELECT count(*) FROM state) <> 1
-- name: ended_of_no_boot
SELECT id FROM ended WHERE boot NOT IN (SELECT id FROM boot)
-- name: ended_is_whole
SELECT id FROM ended WHERE nth < 1 OR reason = '' OR (stat IS NOT NULL AND NOT json_valid(stat))
OR (rate IS NOT NULL AND NOT json_valid(rate))
