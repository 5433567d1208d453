/* SPDX-License-Identifier: MIT */
/*
 * Files of a process whose content the kernel gives to few: smaps_rollup, numa_maps and exe as they are,
 * regions and numa made of smaps and numa_maps; and peak, set back. They are read for whoever asks, with the
 * asker's rights: where the kernel would refuse them the file, so does the collector.
 */
#pragma once

#include "collector/inquiry/inquiry.h"

/* Loop thread. Answers the call, CONTROL_OP_FILE, now or later. */
void pid_files_request(struct inquiries *inquiries, struct control_call *call);

/* Loop thread. Answers the call, CONTROL_OP_RESET_PEAK, now or later. */
void pid_files_reset_peak(struct inquiries *inquiries, struct control_call *call);
