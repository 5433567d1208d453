/* SPDX-License-Identifier: MIT */
/* Names as people wrote them, of C++ and Rust. */
#pragma once

#include "schema/base/buf.h"

/* Appends the name, demangled where it is mangled, without the version of a symbol (`read@GLIBC_2.2.5`), at
 * most WIRE_FUNCTION_MAX bytes of it. */
void demangle_put(struct buf *out, const char *name);

/* Appends a text, and "…" in place of what is beyond `max` bytes, not within a character. */
void demangle_put_cut(struct buf *out, const char *text, size_t max);
