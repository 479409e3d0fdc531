/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a process that talks to a peer gives up before it does: new privileges,
 * capabilities, files outside of the roots, system calls. For good.
 */
#ifndef IVRING_SANDBOX_H
#define IVRING_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "roots.h"
#include "status.h"

enum sandbox_mode {
	SANDBOX_AUTO,			/* whatever of it this system has */
	SANDBOX_REQUIRE,		/* all of it, or nothing is served */
	SANDBOX_OFF,
};

bool sandbox_parse(const char *text, enum sandbox_mode *mode);
/* Loads what cannot be loaded later, and tells what there is, for people. */
int sandbox_prepare(enum sandbox_mode mode, char *text, size_t size, struct status *st);
/* For the calling thread, and what it starts. @allowed: KEEP_* that a request may ask for. */
int sandbox_enter(enum sandbox_mode mode, const struct roots *roots, uint32_t allowed,
		  struct status *st);

#endif /* IVRING_SANDBOX_H */
