// SPDX-License-Identifier: GPL-2.0
#include "library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

bool library_load(const char *file, const char *other, const struct library_symbol *symbols)
{
	void *lib = dlopen(file, RTLD_NOW);
	const struct library_symbol *s;
	void *function;

	if (!lib && other)
		lib = dlopen(other, RTLD_NOW);
	if (!lib)
		return false;
	for (s = symbols; s->name; s++) {
		if (!dlsym(lib, s->name)) {
			dlclose(lib);
			return false;
		}
	}
	for (s = symbols; s->name; s++) {
		function = dlsym(lib, s->name);
		memcpy(s->to, &function, sizeof(function));
	}
	return true;
}
