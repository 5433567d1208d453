/* SPDX-License-Identifier: MIT */
/*
 * pss, uss and dirty on request: smaps_rollup walks all pages of a process under its mmap lock, so it is read
 * at most once a second per process; askers in between share an answer.
 */
#pragma once

#include "collector/inquiry/inquiry.h"

/* Loop thread. Answers the call, CONTROL_OP_MEASURE, now or later. */
void measure_request(struct inquiries *inquiries, struct control_call *call);
