// SPDX-License-Identifier: GPL-2.0
/* Few numbers per figure, or many latencies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

void series_add(struct series *s, double v)
{
	if (s->n == RUNS_MAX)
		die("more than %d runs", RUNS_MAX);
	s->v[s->n++] = v;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct series sorted(const struct series *s)
{
	struct series copy = *s;

	qsort(copy.v, copy.n, sizeof(copy.v[0]), compare_double);
	return copy;
}

double series_median(const struct series *s)
{
	struct series c = sorted(s);

	if (!c.n)
		return NAN;
	return (c.v[(c.n - 1) / 2] + c.v[c.n / 2]) / 2;
}

double series_min(const struct series *s)
{
	return s->n ? sorted(s).v[0] : NAN;
}

double series_max(const struct series *s)
{
	return s->n ? sorted(s).v[s->n - 1] : NAN;
}

struct series series_ratio(const struct series *a, const struct series *b)
{
	struct series r = { .n = 0 };
	int i;

	for (i = 0; i < a->n && i < b->n; i++)
		series_add(&r, a->v[i] / b->v[i]);
	return r;
}

struct series series_least(const struct series *a, const struct series *b)
{
	struct series r = { .n = 0 };
	int i;

	for (i = 0; i < a->n && i < b->n; i++)
		series_add(&r, a->v[i] < b->v[i] ? a->v[i] : b->v[i]);
	return r;
}

/* Shared, so that the process that measures need not be the one that reports. */
void samples_alloc(struct samples *s, size_t max)
{
	memset(s, 0, sizeof(*s));
	s->max = max;
	s->v = shared_alloc(max * sizeof(*s->v));
	populate(s->v, max * sizeof(*s->v), true);
}

static int compare_sample(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that at least the part @q of all do not exceed. */
uint32_t samples_quantile(struct samples *s, double q)
{
	size_t rank;

	if (!s->n)
		return 0;
	if (!s->sorted)
		qsort(s->v, s->n, sizeof(*s->v), compare_sample);
	s->sorted = true;
	rank = ceil(q * s->n);
	return s->v[rank ? rank - 1 : 0];
}

void samples_free(struct samples *s)
{
	munmap(s->v, s->max * sizeof(*s->v));
	s->v = NULL;
}
