/* SPDX-License-Identifier: MIT */
/*
 * The offer: a datagram with the region's descriptor to whoever may listen. Sent once and without waiting;
 * who does not listen then finds the region in /proc.
 */
#pragma once

#include "preload/shim.h"

/* To the socket in shim.run_dir; where that is empty, to those in /run/memfs*. */
void offer_send(int fd, enum shadow_origin origin) hidden;

/* DIR/shim.sock into a buffer of sun_path's size; false where it does not fit. */
bool offer_path(const char *dir, const char *name, char *ret_path, size_t room) hidden;
