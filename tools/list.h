/* SPDX-License-Identifier: GPL-2.0 */
/* What an agent tells of the names beneath its roots. */
#ifndef IVRING_LIST_H
#define IVRING_LIST_H

#include "proto.h"
#include "roots.h"

/* Answers a LIST for @request, whose path is changed. */
int list_answer(struct conv *c, const struct roots *roots, struct request *request,
		struct status *st);

#endif /* IVRING_LIST_H */
