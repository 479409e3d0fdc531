/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One enumeration for everything that may go wrong: it is the exit code of the
 * command, and the code an ERROR frame carries between agent and client. The
 * numbers are stable: scripts and other releases rely on them.
 */
#ifndef IVRING_STATUS_H
#define IVRING_STATUS_H

#define STATUS_TABLE(X)							\
	X(OK,		0,	"all done")				\
	X(FAIL,		1,	"a failure without a code of its own")	\
	X(USAGE,	2,	"the command line is wrong")		\
	X(NO_LINK,	3,	"no such link, or its name is ambiguous") \
	X(NO_PEER,	4,	"nobody is at the other end of the link") \
	X(NO_AGENT,	5,	"no agent answers at the other end")	\
	X(VERSION,	6,	"the two sides have no version in common") \
	X(SOURCE,	7,	"the source is missing or cannot be read") \
	X(NOT_REGULAR,	8,	"the source is of a kind that is not copied") \
	X(DEST,		9,	"the destination cannot be written; or a socket not made") \
	X(NO_SPACE,	10,	"no space left at the destination; or no memory for a link") \
	X(CONTENT,	11,	"the content that arrived is not what was sent") \
	X(CHANGED,	12,	"the source changed while it was read")	\
	X(PEER_GONE,	13,	"the other end went away")		\
	X(TIMEOUT,	14,	"nothing moved for the length of --timeout") \
	X(IO,		15,	"an input or output error")		\
	X(PROTOCOL,	16,	"the other end sent what makes no sense") \
	X(REFUSED,	17,	"the agent's rules forbid it")		\
	X(BUSY,		18,	"the link is in use by another client")	\
	X(ACCESS,	19,	"no permission to use the device")	\
	X(DIFFERS,	20,	"files are not what the manifest says")	\
	X(NO_ROOT,	21,	"the agent has no root of that name")	\
	X(QUOTA,	22,	"more than the agent takes or gives in one transfer") \
	X(MAX_DELETE,	23,	"more is to be deleted than --max-delete allows") \
	X(WATCH,	24,	"the directory cannot be watched, or not any more") \
	X(ADVICE,	25,	"there is something to change")		\
	X(INTERRUPTED,	130,	"interrupted by a signal")

enum status_code {
#define STATUS_ENUM(name, number, text)	STATUS_##name = (number),
	STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
};

#define STATUS_TEXT_SIZE	512

/**
 * struct status - what went wrong
 * @code: enum status_code
 * @text: the same for people, without program name and newline
 */
struct status {
	int code;
	char text[STATUS_TEXT_SIZE];
};

/* Both return -code, for "return status_set(...)". */
int status_set(struct status *st, enum status_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Appends ": <error text>"; ENOSPC and EDQUOT become STATUS_NO_SPACE whatever @code says. */
int status_errno(struct status *st, enum status_code code, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* STATUS_ACCESS when @err says that the permission to use a device is missing. */
enum status_code status_access(int err, enum status_code otherwise);

/* A code that came from the peer: anything that is no failure we know becomes STATUS_FAIL. */
enum status_code status_from_peer(unsigned long long code);

void status_print_table(void);

#endif /* IVRING_STATUS_H */
