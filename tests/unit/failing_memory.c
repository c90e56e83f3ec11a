// SPDX-License-Identifier: GPL-2.0
#include "failing_memory.h"

static u64 countdown;
static bool failed;
static u64 pauses;
static bool killed;

void memory_fail_at(u64 n)
{
	countdown = n;
	failed = false;
}

bool memory_has_failed(void)
{
	countdown = 0;
	return failed;
}

void memory_kill_at(u64 n)
{
	pauses = n;
	killed = false;
}

bool memory_has_killed(void)
{
	return killed;
}

#ifdef COWSTACK_FAILING_MEMORY
bool environment_memory_fails(gfp_t flags)
{
	if (flags & __GFP_NOFAIL || !countdown)
		return false;
	failed = !--countdown;
	return failed;
}

bool environment_killed(void)
{
	if (pauses && !--pauses)
		killed = true;
	return killed;
}
#endif
