/* SPDX-License-Identifier: MIT */
/* Frame pointers in a copy of a stack: of code that keeps them, without any file being read. Pure. */
#pragma once

#include "collector/symbols/symbols.h"

/*
 * Follows frame pointers as long as they lead upwards within the copy and to code that the table has; what
 * does not is the end. At least the innermost frame, if the table has it.
 */
void stack_walk(const struct module_table *table, const struct stack_copy *copy, struct stack *ret);
