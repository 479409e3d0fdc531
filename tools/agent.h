/* SPDX-License-Identifier: GPL-2.0 */
/* The answering end of a conversation. */
#ifndef IVRING_AGENT_H
#define IVRING_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit.h"
#include "proto.h"
#include "recv.h"
#include "roots.h"
#include "sandbox.h"
#include "send.h"

/* What keeps a client that asks on and on from filling the log; shared by processes. */
struct agent_pace {
	int64_t next_ns;
};

struct agent {
	struct roots roots;
	bool once;
	int timeout_ms;
	uint32_t chunk;
	struct recv_options recv;	/* for what is received */
	const char *user;		/* whose rights a conversation has; NULL: as started */
	uid_t uid;
	gid_t gid;
	enum sandbox_mode sandbox;
	unsigned int audit;		/* AUDIT_* */
	struct agent_pace *pace;	/* may be NULL */
	const char *label;		/* of the link, for log lines */
};

/* 0 or -errno. */
int agent_become_user(const struct agent *a);

/* Answers requests until the peer closes or something fails; what fails is logged. */
int agent_converse(const struct agent *a, struct ivring_chan *ch);

/*
 * Conversation after conversation on a link, until it is removed, a signal
 * comes, or with @once the first has ended. Returns an exit code.
 */
int agent_serve_link(struct agent *a, unsigned int link);

#endif /* IVRING_AGENT_H */
