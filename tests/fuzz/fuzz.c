// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

/* With sanitizers a single allocation may not be larger than this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_allocation_size_mb=32:quarantine_size_mb=4";
}

static int report = STDERR_FILENO;

static void __attribute__((constructor)) keep_standard_error(void)
{
	report = dup(STDERR_FILENO);
}

void fuzz_fail(const char *what)
{
	dprintf(report, "==found: %s\n", what);
	abort();
}
