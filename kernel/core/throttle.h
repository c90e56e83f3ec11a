/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A token bucket: how long a job must wait so that it keeps to its speed.  Times
 * are nanoseconds of any steady clock.
 */
#ifndef COWSTACK_CORE_THROTTLE_H
#define COWSTACK_CORE_THROTTLE_H

#include "environment.h"

struct cowstack_throttle {
	u64 speed;			/* bytes per second, 0: unlimited */
	u64 paid_until;			/* when what was spent is paid for */
};

/* A new speed holds from @now on; what was spent before is forgiven. */
void cowstack_throttle_set(struct cowstack_throttle *t, u64 speed, u64 now);

/* @bytes were moved at @now. */
void cowstack_throttle_spend(struct cowstack_throttle *t, u64 bytes, u64 now);

/* Nanoseconds from @now until more may be moved; 0: at once. */
u64 cowstack_throttle_delay(const struct cowstack_throttle *t, u64 now);

#endif /* COWSTACK_CORE_THROTTLE_H */
