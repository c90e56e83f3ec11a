// SPDX-License-Identifier: GPL-2.0
/* How long a job waits so that it keeps to its speed. */
#include "random.h"
#include "throttle.h"

#include "harness.h"

#define SECOND 1000000000ULL
#define MIB BIT_ULL(20)

TEST(no_speed_no_delay)
{
	struct cowstack_throttle t = { };

	cowstack_throttle_set(&t, 0, 5);
	cowstack_throttle_spend(&t, U64_MAX, 5);
	EXPECT_EQ(0, cowstack_throttle_delay(&t, 5));
	EXPECT_EQ(0, cowstack_throttle_delay(&t, 0));
}

TEST(what_is_spent_is_waited_for)
{
	struct cowstack_throttle t = { };

	cowstack_throttle_set(&t, MIB, SECOND);
	EXPECT_EQ(0, cowstack_throttle_delay(&t, SECOND));
	cowstack_throttle_spend(&t, 3 * MIB, SECOND);
	EXPECT_EQ(3 * SECOND, cowstack_throttle_delay(&t, SECOND));
	EXPECT_EQ(SECOND, cowstack_throttle_delay(&t, 3 * SECOND));
	EXPECT_EQ(0, cowstack_throttle_delay(&t, 4 * SECOND));
	EXPECT_EQ(0, cowstack_throttle_delay(&t, 9 * SECOND));
	/* Half a byte's time counts, too. */
	cowstack_throttle_set(&t, 2, 0);
	cowstack_throttle_spend(&t, 1, 0);
	EXPECT_EQ(SECOND / 2, cowstack_throttle_delay(&t, 0));
}

/* Having waited does not pay for a second at full speed. */
TEST(what_is_not_used_does_not_add_up)
{
	struct cowstack_throttle t = { };

	cowstack_throttle_set(&t, MIB, 0);
	cowstack_throttle_spend(&t, MIB, 1000 * SECOND);
	EXPECT_EQ(SECOND * 3 / 4, cowstack_throttle_delay(&t, 1000 * SECOND));
}

TEST(a_new_speed_forgives)
{
	struct cowstack_throttle t = { };

	cowstack_throttle_set(&t, 1, 0);
	cowstack_throttle_spend(&t, 1000, 0);
	EXPECT_EQ(1000 * SECOND, cowstack_throttle_delay(&t, 0));
	cowstack_throttle_set(&t, MIB, SECOND);
	EXPECT_EQ(0, cowstack_throttle_delay(&t, SECOND));
}

/* No bytes and no speed make it overflow: a day is the most. */
TEST(extremes)
{
	static const u64 numbers[] = {
		1, 2, 511, SECOND, 1ULL << 32, 16 * SECOND, 20 * SECOND,
		1ULL << 62, U64_MAX - 1, U64_MAX
	};
	const u64 day = 86400 * SECOND;
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (k = 0; k < ARRAY_SIZE(numbers); k++) {
			struct cowstack_throttle t = { };
			double seconds = (double)numbers[k] / numbers[i];
			u64 delay;

			cowstack_throttle_set(&t, numbers[i], SECOND);
			cowstack_throttle_spend(&t, numbers[k], SECOND);
			delay = cowstack_throttle_delay(&t, SECOND);
			EXPECT_EQ(seconds >= 86400, delay == day);
			EXPECT_LE((double)delay, seconds * SECOND + 1);
		}
	}
}

/* Over an hour of pieces of any size the speed is kept within a second's worth. */
TEST(speed_in_the_long_run)
{
	struct random r = { .state = 3 };
	struct cowstack_throttle t = { };
	u64 now = SECOND, moved = 0, most;

	cowstack_throttle_set(&t, 10 * MIB, now);
	while (now < 3600 * SECOND) {
		u64 bytes = random_below(&r, 4 * MIB);

		cowstack_throttle_spend(&t, bytes, now);
		moved += bytes;
		now += cowstack_throttle_delay(&t, now) +
		       random_below(&r, SECOND / 1000);
	}
	most = 3600 * 10 * MIB;
	EXPECT_LE(moved, most + 10 * MIB);
	EXPECT_GE(moved, most - 10 * MIB);
}

TEST_HARNESS_MAIN
