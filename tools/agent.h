/* SPDX-License-Identifier: GPL-2.0 */
/* The answering end of a conversation. */
#ifndef IVRING_AGENT_H
#define IVRING_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "path.h"
#include "proto.h"
#include "recv.h"
#include "send.h"

struct agent {
	struct path_root root;
	bool read_only;
	bool write_only;
	bool once;
	int timeout_ms;
	uint32_t chunk;
	struct recv_options recv;	/* for what is received */
	const char *label;		/* of the link, for log lines */
};

/* Answers requests until the peer closes or something fails; what fails is logged. */
int agent_converse(const struct agent *a, struct ivring_chan *ch);

/*
 * Conversation after conversation on a link, until it is removed, a signal
 * comes, or with @once the first has ended. Returns an exit code.
 */
int agent_serve_link(struct agent *a, unsigned int link);

#endif /* IVRING_AGENT_H */
