/* SPDX-License-Identifier: GPL-2.0 */
/*
 * systemd's file descriptor store: files that a service hands over and gets back
 * when it is started again after its end, whatever ended it (sd_notify(3),
 * FDSTORE=1, and sd_listen_fds(3)). Without such a manager all of this does
 * nothing.
 */
#ifndef IVRING_FDSTORE_H
#define IVRING_FDSTORE_H

#include <stdbool.h>

/* Longest name, with its end. */
#define FDSTORE_NAME	64

/* What was handed back is taken from the environment; once, and first. */
void fdstore_open(void);
/* Somebody keeps files for this process. */
bool fdstore_there(void);
/* Has a copy of @fd kept under @name. */
void fdstore_put(const char *name, int fd);
/* Has what is kept under @name dropped. */
void fdstore_remove(const char *name);
/* The file that was kept as @name, to be looked at only; -1 without, or when taken. */
int fdstore_look(const char *name);
/* The same, now the caller's. */
int fdstore_take(const char *name);
/* Closes what was handed back under names that begin like this, and drops it all. */
void fdstore_forget(const char *prefix);
/* Closes and drops whatever was handed back and not taken. */
void fdstore_close(void);
/* Tells the service manager something, such as "READY=1". */
void fdstore_notify(const char *state);

#endif /* IVRING_FDSTORE_H */
