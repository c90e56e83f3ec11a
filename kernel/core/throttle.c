// SPDX-License-Identifier: GPL-2.0
#include "throttle.h"

#define SECOND 1000000000ULL
/* What was not used does not add up: a job that waited does not run ahead. */
#define BURST (SECOND / 4)

void cowstack_throttle_set(struct cowstack_throttle *t, u64 speed, u64 now)
{
	t->speed = speed;
	t->paid_until = now;
}

/* Time that @bytes cost; a day at the most, so that nothing overflows. */
static u64 cost(const struct cowstack_throttle *t, u64 bytes)
{
	const u64 most = 86400 * SECOND;
	u64 whole, rest;

	whole = div64_u64_rem(bytes, t->speed, &rest);
	if (whole >= most / SECOND)
		return most;
	/* rest < speed; above 16 GB/s the fraction does not matter. */
	if (rest > U64_MAX / SECOND)
		return whole * SECOND;
	return whole * SECOND + div64_u64(rest * SECOND, t->speed);
}

void cowstack_throttle_spend(struct cowstack_throttle *t, u64 bytes, u64 now)
{
	if (!t->speed)
		return;
	if (t->paid_until + BURST < now)
		t->paid_until = now - BURST;
	t->paid_until += cost(t, bytes);
}

u64 cowstack_throttle_delay(const struct cowstack_throttle *t, u64 now)
{
	if (!t->speed || t->paid_until <= now)
		return 0;
	return t->paid_until - now;
}
