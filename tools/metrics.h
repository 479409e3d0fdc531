/* SPDX-License-Identifier: GPL-2.0 */
/* Counters in the text format of Prometheus, version 0.0.4 of its exposition formats. */
#ifndef IVRING_METRICS_H
#define IVRING_METRICS_H

#include <stdio.h>

#include "counters.h"

/* What its parser and a node exporter's directory of text files take. */
void metrics_print(FILE *out, const struct samples *s);

#endif /* IVRING_METRICS_H */
