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
-- name: process_minute_of_nobody
SELECT DISTINCT subject FROM process_minute WHERE subject NOT IN (SELECT id FROM subject)
-- name: process_hour_of_nobody
SELECT DISTINCT subject FROM process_hour WHERE subject NOT IN (SELECT id FROM subject)
-- name: since_is_not_later
SELECT minute FROM node_minute WHERE since > minute UNION ALL SELECT hour FROM node_hour WHERE since > hour
-- name: minute_without_an_hour
SELECT minute FROM node_minute WHERE (minute + 60000000000) / 60 - 1000000000 NOT IN
(SELECT hour FROM node_hour UNION ALL SELECT hour FROM open_hour)
-- name: three_levels
SELECT 0 WHERE (SELECT count(*) FROM level) <> 3
-- name: event_without_words
SELECT id FROM event WHERE kind = '' OR subject = ''
-- name: ended_of_no_boot
SELECT id FROM ended WHERE boot NOT IN (SELECT id FROM boot)
-- name: ended_is_whole
SELECT id FROM ended WHERE nth < 1 OR reason = '' OR (stat IS NOT NULL AND NOT json_valid(stat))
OR (rate IS NOT NULL AND NOT json_valid(rate))
