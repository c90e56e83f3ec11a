// SPDX-License-Identifier: GPL-2.0
#include "name_check.h"
#include "core/format.h"

enum exit_code name_check(const char *what, const char *name)
{
	if (cowstack_name_is_valid(name))
		return EXIT_DONE;
	return fail(EXIT_USAGE,
		    "\"%s\" is no name for a %s: 1 to 63 of A-Z a-z 0-9 . _ + - not starting with -",
		    name, what);
}
