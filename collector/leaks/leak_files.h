/* SPDX-License-Identifier: MIT */
/* The tables of a traced process, read for whoever asks and may look into it, as with its other files. */
#pragma once

#include "collector/inquiry/inquiry.h"
#include "collector/leaks/leaks.h"

/* Loop thread. CONTROL_OP_FILE of a name that begins with LEAK_FILES: answers the call, now or later. */
#define LEAK_FILES "leaks/"
void leak_files_request(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call);

/* Loop thread. Says, now or later, why a process cannot be traced, to who wanted it to be. */
void leak_files_refuse(struct inquiries *inquiries, struct control_call *call);
