/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mappings that are taken away: to touch one, and live to tell.
 */
#ifndef _IVRING_TEST_SIGBUS_H
#define _IVRING_TEST_SIGBUS_H

#include "util.h"
#include <setjmp.h>

static __thread sigjmp_buf touched;

static inline void on_fault(int sig)
{
	siglongjmp(touched, sig);
}

static inline void faults_return(void)
{
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
}

/* The byte that is there, or minus the signal that came instead. */
static inline int touch(const volatile char *p)
{
	int sig = sigsetjmp(touched, 0);

	return sig ? -sig : (unsigned char)*p;
}

static inline int touch_write(volatile char *p, char c)
{
	int sig = sigsetjmp(touched, 0);

	if (sig)
		return -sig;
	*p = c;
	return 0;
}

#endif /* _IVRING_TEST_SIGBUS_H */
