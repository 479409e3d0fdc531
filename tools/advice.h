/* SPDX-License-Identifier: GPL-2.0 */
/* What to change on a machine so that its links are faster. Looks only. */
#ifndef IVRING_ADVICE_H
#define IVRING_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "machine.h"

/**
 * struct advice - one thing
 * @id: its name for scripts: stable
 * @urgent: it is wrong as it is; else a hint, which may help
 * @subject: a link, a channel, a process, or "" for the machine
 * @what: how it is
 * @why: what that does
 * @command: what changes it: shell commands, with "; " between; "" if there is none
 */
struct advice {
	const char *id;
	bool urgent;
	char subject[64];
	char what[192];
	const char *why;
	char command[256];
};

struct advices {
	struct advice *list;
	size_t count;
	bool incomplete;		/* there was no memory for all */
	unsigned int hidden;		/* links that this user may not look at */
};

/*
 * Looks at the machine below @root, of which machine_read() told @m, and at the link of that
 * name or label, or at all for NULL. Returns how many links it found.
 */
unsigned int advice_take(struct advices *a, const struct machine *m, const char *root,
			 const char *link);
void advice_free(struct advices *a);

/* For the files of advice*.c. What it returns is good until the next is added. */
struct advice *advice_add(struct advices *a, const char *id, bool urgent, const char *subject,
			  const char *why);
__attribute__((format(printf, 2, 3)))
void advice_what(struct advice *one, const char *fmt, ...);
__attribute__((format(printf, 2, 3)))
void advice_command(struct advice *one, const char *fmt, ...);

/* A machine that has guests: KVM, and the QEMU of the link of that label. */
void advice_host(struct advices *a, const char *root);
void advice_qemu(struct advices *a, const struct machine *m, const char *root, const char *label);

#endif /* IVRING_ADVICE_H */
