-- SPDX-License-Identifier: MIT
-- Keeps the place of another migration.
PRAGMA user_version = 2;
