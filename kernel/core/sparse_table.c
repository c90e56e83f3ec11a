// SPDX-License-Identifier: GPL-2.0
#include "sparse_table.h"

static_assert(SPARSE_TABLE_INDEX_BITS / SPARSE_TABLE_NODE_SHIFT - 1 <=
	      SPARSE_TABLE_LEVEL_MASK,
	      "level does not fit the root's low bits");

static struct sparse_node *new_node(struct sparse_table *table, gfp_t gfp)
{
	struct sparse_node *node = kzalloc(sizeof(*node), gfp);

	if (node)
		atomic64_inc(&table->nodes);
	return node;
}

static void free_node(struct sparse_table *table, struct sparse_node *node)
{
	atomic64_dec(&table->nodes);
	kfree(node);
}

static unsigned int level_for(u64 index)
{
	unsigned int level = 0;

	while (!sparse_level_covers(level, index))
		level++;
	return level;
}

/*
 * Makes the tree high enough for @index: an empty one at once, another level by
 * level, the old root becoming slot 0 of the new one.
 */
static bool raise_root(struct sparse_table *table, u64 index, gfp_t gfp)
{
	/* Pairs with a publishing cmpxchg. */
	unsigned long root = smp_load_acquire(&table->root);

	while (!root || !sparse_level_covers(sparse_root_level(root), index)) {
		struct sparse_node *node = new_node(table, gfp);
		unsigned long raised;

		if (!node)
			return false;
		if (root) {
			node->slots[0] = (unsigned long)sparse_root_node(root);
			raised = (unsigned long)node | (sparse_root_level(root) + 1);
		} else {
			raised = (unsigned long)node | level_for(index);
		}
		if (cmpxchg(&table->root, root, raised) != root)
			free_node(table, node);
		/* Pairs with a publishing cmpxchg. */
		root = smp_load_acquire(&table->root);
	}
	return true;
}

/*
 * Puts a node in the place of what is in @slot at @level: nothing, or an entry
 * that goes one level down.  False: no memory.
 */
static bool deepen(struct sparse_table *table, unsigned long *slot,
		   unsigned long old, unsigned int level, gfp_t gfp)
{
	struct sparse_node *node = new_node(table, gfp);

	if (!node)
		return false;
	if (old)
		node->slots[sparse_slot_of(table->key(sparse_slot_entry(old)), level - 1)] =
			old;
	/* Whoever was first, there is a node or another entry there now. */
	if (cmpxchg(slot, old, (unsigned long)node) != old)
		free_node(table, node);
	return true;
}

void *sparse_table_insert(struct sparse_table *table, u64 index, void *entry,
			  gfp_t gfp)
{
	unsigned long mine = (unsigned long)entry | SPARSE_TABLE_ENTRY_TAG;
	unsigned int level;
	struct sparse_node *node;
	unsigned long root;

	if (index >> SPARSE_TABLE_INDEX_BITS || !raise_root(table, index, gfp))
		return NULL;
	/* Pairs with a publishing cmpxchg. */
	root = smp_load_acquire(&table->root);
	level = sparse_root_level(root);
	node = sparse_root_node(root);
	for (;;) {
		unsigned long *slot = &node->slots[sparse_slot_of(index, level)];
		/* Pairs with a publishing cmpxchg. */
		unsigned long old = smp_load_acquire(slot);

		if (!old && (!level || table->key)) {
			if (!cmpxchg(slot, 0UL, mine))
				return entry;
			continue;
		}
		if (sparse_is_entry(old) &&
		    (!level || table->key(sparse_slot_entry(old)) == index))
			return sparse_slot_entry(old);
		if (!old || sparse_is_entry(old)) {
			if (!deepen(table, slot, old, level, gfp))
				return NULL;
			continue;
		}
		node = (struct sparse_node *)old;
		level--;
	}
}

/* In-order search below @node; *@index is the least index still of interest. */
static void *next_below(const struct sparse_table *table, struct sparse_node *node,
			unsigned int level, u64 *index)
{
	unsigned int shift = level * SPARSE_TABLE_NODE_SHIFT;
	unsigned int slot;

	for (slot = sparse_slot_of(*index, level); slot < SPARSE_TABLE_NODE_SLOTS; slot++) {
		/* Pairs with a publishing cmpxchg. */
		unsigned long child = smp_load_acquire(&node->slots[slot]);
		u64 next = ((*index >> shift) + 1) << shift;
		void *found = NULL;

		if (sparse_is_entry(child)) {
			u64 key = level ? table->key(sparse_slot_entry(child)) :
					  *index;

			if (key >= *index) {
				*index = key;
				return sparse_slot_entry(child);
			}
		} else if (child) {
			found = next_below(table, (struct sparse_node *)child,
					   level - 1, index);
		}
		if (found)
			return found;
		/* On to the start of the next slot's range. */
		*index = next;
	}
	return NULL;
}

void *sparse_table_next(const struct sparse_table *table, u64 *index)
{
	/* Pairs with a publishing cmpxchg. */
	unsigned long root = smp_load_acquire(&table->root);

	if (!root || !sparse_level_covers(sparse_root_level(root), *index))
		return NULL;
	return next_below(table, sparse_root_node(root), sparse_root_level(root), index);
}

static void free_below(struct sparse_table *table, struct sparse_node *node)
{
	unsigned int slot;

	for (slot = 0; slot < SPARSE_TABLE_NODE_SLOTS; slot++) {
		unsigned long child = node->slots[slot];

		if (child && !sparse_is_entry(child))
			free_below(table, (struct sparse_node *)child);
	}
	free_node(table, node);
}

void sparse_table_exit(struct sparse_table *table)
{
	unsigned long root = table->root;

	if (root)
		free_below(table, sparse_root_node(root));
	table->root = 0;
}
