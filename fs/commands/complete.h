/* SPDX-License-Identifier: MIT */
/*
 * What a shell may complete, read off the usage of a command as --help says it, so that a command is written
 * down once. Pure.
 */
#pragma once

#include "schema/base/buf.h"

/*
 * Appends what the word can become, a line each: flags where it begins with a dash, else the values of the
 * flag `before` it or what has no flag. `usage` is like `[-f] [-o OPTION,...] [--level seconds|minutes] DIR`.
 * A line ":directories TEXT" says that a directory may follow TEXT, with which the word begins.
 */
void complete_argument(struct buf *out, const char *usage, const char *before, const char *word);

/* Appends `candidate` as a line where it begins with `word`. */
void complete_offer(struct buf *out, const char *candidate, const char *word);
