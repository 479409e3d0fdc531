/* SPDX-License-Identifier: GPL-2.0 */
/* One line for each transfer that a client asked for, whatever became of it. */
#ifndef IVRING_AUDIT_H
#define IVRING_AUDIT_H

#include <stdbool.h>

#include "status.h"
#include "tally.h"

/* Where to: AUDIT_* */
#define AUDIT_SYSLOG	(1U << 0)	/* facility authpriv; the journal has it, too */
#define AUDIT_STDERR	(1U << 1)

struct audit_record {
	const char *link;		/* whose client it was */
	bool push;
	const char *path;		/* as the client wrote it */
	const struct tally *tally;
	const struct status *st;	/* code zero: it went through */
};

bool audit_parse(const char *text, unsigned int *where);
/* Connects to the log: later, that may not be allowed any more. */
void audit_open(unsigned int where);
void audit_transfer(unsigned int where, const struct audit_record *r);
/* The process of a conversation ended before it could tell of a transfer. */
void audit_killed(unsigned int where, const char *link, int signum);

#endif /* IVRING_AUDIT_H */
