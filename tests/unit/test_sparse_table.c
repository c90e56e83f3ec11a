// SPDX-License-Identifier: GPL-2.0
#include "random.h"
#include "sparse_table.h"

#include "harness.h"

enum { ENTRIES = 2000, THREADS = 4, BITS = SPARSE_TABLE_INDEX_BITS };

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Near ones, far ones, and the ends of what an index may be. */
static u64 random_index(struct random *r, unsigned int bits)
{
	static const u64 edges[] = { 0, 1, 7, 8, 9, 63, 64, 511, 512, U32_MAX,
				     BIT_ULL(32), BIT_ULL(47),
				     BIT_ULL(48) - 2, BIT_ULL(48) - 1 };

	if (random_percent(r, 5) && bits == BITS)
		return edges[random_below(r, ARRAY_SIZE(edges))];
	return random_next(r) >> (64 - bits);
}

static u64 key_of(const void *entry)
{
	return *(const u64 *)entry;
}

/* All that next() finds, from the start, against the sorted indices. */
static bool walk_is_right(const struct sparse_table *table, const u64 *sorted,
			  u32 count)
{
	u64 index = 0;
	u32 i = 0;
	u64 *found;

	while ((found = sparse_table_next(table, &index))) {
		while (i + 1 < count && sorted[i] == sorted[i + 1])
			i++;
		if (i >= count || index != sorted[i] || *found != index)
			return false;
		i++;
		index++;
	}
	return i == count;
}

static bool next_is_right(const struct sparse_table *table, const u64 *sorted,
			  u32 count, u64 from)
{
	u64 index = from;
	u64 *found = sparse_table_next(table, &index);
	u32 i = 0;

	while (i < count && sorted[i] < from)
		i++;
	if (i == count)
		return !found;
	return found && index == sorted[i] && *found == index;
}

TEST(against_a_sorted_array)
{
	static u64 indices[ENTRIES], sorted[ENTRIES];
	struct random r = { .state = 1 };
	unsigned int round, i;

	for (round = 0; round < 2 * BITS; round++) {
		unsigned int bits = 1 + round / 2;
		/* With and without entries that tell their index. */
		struct sparse_table table = { .key = round % 2 ? key_of : NULL };

		for (i = 0; i < ENTRIES; i++) {
			void *now;

			indices[i] = random_index(&r, bits);
			now = sparse_table_insert(&table, indices[i],
						  &indices[i], 0);
			ASSERT_NE(NULL, now);
			EXPECT_EQ(indices[i], *(u64 *)now);
			EXPECT_EQ(now, sparse_table_get(&table, indices[i]));
		}
		memcpy(sorted, indices, sizeof(sorted));
		qsort(sorted, ENTRIES, sizeof(u64), compare_u64);
		EXPECT_TRUE(walk_is_right(&table, sorted, ENTRIES));
		for (i = 0; i < 300; i++) {
			u64 from = random_index(&r, bits);
			u64 *found = sparse_table_get(&table, from);

			EXPECT_TRUE(next_is_right(&table, sorted, ENTRIES,
						  from));
			EXPECT_EQ(!found, !bsearch(&from, sorted, ENTRIES,
						   sizeof(u64), compare_u64));
		}
		sparse_table_exit(&table);
		EXPECT_EQ(0, atomic64_read(&table.nodes));
	}
}

/* Entries far apart cost a node or two, not a path of nodes each. */
TEST(far_apart)
{
	struct sparse_table table = { .key = key_of };
	static u64 values[8];
	u64 i;

	for (i = 0; i < 8; i++) {
		values[i] = i << 45;
		EXPECT_EQ(&values[i], sparse_table_insert(&table, values[i],
							  &values[i], 0));
	}
	/* The first came when the tree was low. */
	EXPECT_LE(atomic64_read(&table.nodes), BITS / 3);
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(&values[i], sparse_table_get(&table, values[i]));
		EXPECT_EQ(NULL, sparse_table_get(&table, values[i] + 1));
	}
	sparse_table_exit(&table);
	EXPECT_EQ(0, atomic64_read(&table.nodes));
}

TEST(empty_and_one)
{
	struct sparse_table table = { };
	u64 index = 0, value = 5;

	EXPECT_EQ(NULL, sparse_table_get(&table, 0));
	EXPECT_EQ(NULL, sparse_table_next(&table, &index));
	sparse_table_exit(&table);
	EXPECT_EQ(&value, sparse_table_insert(&table, 5, &value, 0));
	/* Low entries stay where they are when the tree grows. */
	EXPECT_EQ(&index, sparse_table_insert(&table, BIT_ULL(47), &index, 0));
	EXPECT_EQ(&value, sparse_table_get(&table, 5));
	EXPECT_EQ(NULL, sparse_table_get(&table, U64_MAX));
	EXPECT_EQ(NULL, sparse_table_insert(&table, BIT_ULL(BITS), &index, 0));
	EXPECT_EQ(NULL, sparse_table_insert(&table, U64_MAX, &index, 0));
	index = 6;
	EXPECT_EQ(&index, sparse_table_next(&table, &index));
	EXPECT_EQ(BIT_ULL(47), index);
	sparse_table_exit(&table);
}

struct worker {
	pthread_t thread;
	struct sparse_table *table;
	u64 values[ENTRIES];
	u64 seed;
	bool wrong;
};

/* All threads insert the same indices: one of them is first, all see it. */
static void *insert_all(void *argument)
{
	struct worker *worker = argument;
	struct random r = { .state = worker->seed };
	u32 i, n = random_below(&r, ENTRIES);

	for (i = 0; i < ENTRIES; i++) {
		u64 index, *now;

		n = (n + 7) % ENTRIES;
		index = (u64)n * n * n * n;
		worker->values[n] = index;
		now = sparse_table_insert(worker->table, index,
					  &worker->values[n], 0);
		if (!now || *now != index ||
		    sparse_table_get(worker->table, index) != now)
			worker->wrong = true;
	}
	return NULL;
}

TEST(insertions_side_by_side)
{
	static struct worker workers[THREADS];
	u32 round, i;

	for (round = 0; round < 20; round++) {
		struct sparse_table table = { .key = round % 2 ? key_of : NULL };
		u64 index, count = 0;

		for (i = 0; i < THREADS; i++) {
			workers[i].table = &table;
			workers[i].seed = round * THREADS + i;
			pthread_create(&workers[i].thread, NULL, insert_all,
				       &workers[i]);
		}
		for (i = 0; i < THREADS; i++) {
			pthread_join(workers[i].thread, NULL);
			EXPECT_FALSE(workers[i].wrong);
		}
		for (index = 0; sparse_table_next(&table, &index); index++)
			count++;
		EXPECT_EQ(ENTRIES, count);
		sparse_table_exit(&table);
		EXPECT_EQ(0, atomic64_read(&table.nodes));
	}
}

TEST_HARNESS_MAIN
