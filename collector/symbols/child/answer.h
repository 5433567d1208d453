/* SPDX-License-Identifier: MIT */
/* The child's half of the conversation: what it has open, and its answers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/symbols/wire.h"

struct answerer;

/* Sends a packet; non-zero ends the answering. */
typedef int answer_send(void *ctx, const void *packet, size_t n);

int answerer_new(answer_send *send, void *ctx, struct answerer **ret_answerer); /* 0 or -ENOMEM */
void answerer_free(struct answerer *answerer);                                  /* takes NULL */

/*
 * Answers one packet, which came with a descriptor, taken over, or -1. 0; -EPROTO for a packet that is no
 * question; else what sending said.
 */
int answerer_take(struct answerer *answerer, const uint8_t *packet, size_t n, int fd);
