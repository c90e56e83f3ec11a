// SPDX-License-Identifier: GPL-2.0
/*
 * What a job leaves in its volume's record: whether the base is a point in time, and
 * which commit has to end before it is one.
 */
#include "chain_store.h"
#include "job_end.h"

#include "harness.h"

static u32 mixed_after_begin(u32 before, u32 top)
{
	const struct cowstack_job_begin begin = {
		.total = 70, .mixed_top = to_layer_id(top),
	};
	struct cowstack_volume_info info = {
		.mixed_top = to_layer_id(before), .job.error = EIO,
	};

	cowstack_job_update_begin(&info, &begin);
	return info.job.total == 70 && !info.job.error ?
		       from_layer_id(info.mixed_top) : U32_MAX;
}

/* Of several that were begun the highest top counts. */
TEST(begin)
{
	EXPECT_EQ(4, mixed_after_begin(0, 4));
	EXPECT_EQ(4, mixed_after_begin(3, 4));
	EXPECT_EQ(5, mixed_after_begin(5, 4));
	/* A job that does not write to the base. */
	EXPECT_EQ(0, mixed_after_begin(0, 0));
	EXPECT_EQ(3, mixed_after_begin(3, 0));
}

static const struct cowstack_volume_info before = {
	.sectors = 800, .base_sectors = 500, .base_crc = 1, .base_time = 9,
};

static struct cowstack_volume_info info_after(u32 mixed,
					      const struct cowstack_job_end *end)
{
	struct cowstack_volume_info info = before;

	info.mixed_top = to_layer_id(mixed);
	cowstack_job_update_end(&info, end);
	return info;
}

static bool base_is_as_before(const struct cowstack_volume_info *info)
{
	return info->base_sectors == before.base_sectors &&
	       info->base_crc == before.base_crc && !info->flags &&
	       info->base_time == before.base_time;
}

TEST(end_of_a_commit_into_the_base)
{
	struct cowstack_job_end end = {
		.record = { .kind = COWSTACK_JOB_COMMIT,
			    .state = COWSTACK_JOB_COMPLETED,
			    .top = to_layer_id(4), .done = 70 },
		.base_valid = true, .base_sectors = 600, .base_crc = 77,
		.now = 1234,
	};
	struct cowstack_volume_info info = info_after(4, &end);

	EXPECT_EQ(COWSTACK_JOB_COMPLETED, info.job.state);
	EXPECT_EQ(70, info.job.done);
	EXPECT_EQ(600, info.base_sectors);
	EXPECT_EQ(77, info.base_crc);
	EXPECT_EQ(1234, info.base_time);
	EXPECT_EQ(COWSTACK_VOLUME_BASE_RECORDED, info.flags);
	EXPECT_EQ(0, from_layer_id(info.mixed_top));
	EXPECT_EQ(800, info.sectors);

	/* Cancelled, or with errors: the mark stays. */
	end.base_valid = false;
	info = info_after(4, &end);
	EXPECT_TRUE(base_is_as_before(&info));
	EXPECT_EQ(4, from_layer_id(info.mixed_top));
	EXPECT_EQ(70, info.job.done);
}

/* What the base has in part lies in the destination then. */
TEST(end_of_a_commit_into_a_layer)
{
	static const struct {
		u32 before;
		u32 errors;
		u32 after;
	} marks[] = {
		{ 0, 0, 0 }, { 1, 0, 1 }, { 2, 0, 2 }, { 3, 0, 2 }, { 5, 0, 2 },
		{ 6, 0, 6 }, { 3, 1, 3 }, { 5, 1, 5 },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		const struct cowstack_job_end end = {
			.record = { .kind = COWSTACK_JOB_COMMIT,
				    .top = to_layer_id(5), .base = to_layer_id(2),
				    .errors = marks[i].errors },
		};
		struct cowstack_volume_info info = info_after(marks[i].before, &end);

		EXPECT_TRUE(base_is_as_before(&info));
		EXPECT_EQ(marks[i].after, from_layer_id(info.mixed_top));
	}
}

TEST(end_of_a_stream)
{
	const struct cowstack_job_end end = {
		.record = { .kind = COWSTACK_JOB_STREAM, .top = to_layer_id(5),
			    .base = to_layer_id(2), .done = 3 },
	};
	struct cowstack_volume_info info = info_after(3, &end);

	EXPECT_TRUE(base_is_as_before(&info));
	EXPECT_EQ(3, from_layer_id(info.mixed_top));
	EXPECT_EQ(3, info.job.done);
}

/* A commit of less than was begun before leaves what that one has to end. */
TEST(whether_the_base_is_a_point_in_time)
{
	static struct chain_store s;
	u32 mark, top;

	chain_open(&s);
	for (mark = 0; mark <= 4; mark++) {
		s.volume->info.mixed_top = mark ? s.layer[mark - 1]->id :
						  COWSTACK_BASE_LAYER;
		for (top = 1; top <= 4; top++)
			EXPECT_EQ(top >= mark,
				  cowstack_job_makes_base_valid(s.volume,
								s.layer[top - 1]));
	}
	/* The layer of the mark has left the chain: what lies above it ends it. */
	s.volume->info.mixed_top = s.layer[1]->id;
	ASSERT_EQ(0, chain_remove(&s, 1, 1));
	s.volume->info.mixed_top = s.layer[1]->id;
	EXPECT_TRUE(cowstack_job_makes_base_valid(s.volume, s.layer[0]));
	chain_close(&s);
}

TEST_HARNESS_MAIN
