// SPDX-License-Identifier: GPL-2.0
#include "sparse_table.h"

enum {
	NODE_SHIFT = 3,
	NODE_SLOTS = 1 << NODE_SHIFT,
	MAX_LEVEL = SPARSE_TABLE_INDEX_BITS / NODE_SHIFT - 1,
	/* kmalloc and malloc both align a node to 16 at least. */
	LEVEL_MASK = 15,
	/* In a slot: an entry, not a node. */
	ENTRY_TAG = 1,
};

static_assert(MAX_LEVEL <= LEVEL_MASK, "level does not fit the root's low bits");

struct node {
	unsigned long slots[NODE_SLOTS];
};

static struct node *root_node(unsigned long root)
{
	return (struct node *)(root & ~(unsigned long)LEVEL_MASK);
}

static unsigned int root_level(unsigned long root)
{
	return root & LEVEL_MASK;
}

static bool is_entry(unsigned long slot)
{
	return slot & ENTRY_TAG;
}

static void *slot_entry(unsigned long slot)
{
	return (void *)(slot & ~(unsigned long)ENTRY_TAG);
}

/* Does a tree whose root is at @level reach @index? */
static bool level_covers(unsigned int level, u64 index)
{
	return !(index >> ((level + 1) * NODE_SHIFT));
}

static unsigned int slot_of(u64 index, unsigned int level)
{
	return (index >> (level * NODE_SHIFT)) & (NODE_SLOTS - 1);
}

void *sparse_table_get(const struct sparse_table *table, u64 index)
{
	/* Pairs with the cmpxchg that published it; so below. */
	unsigned long slot = smp_load_acquire(&table->root);
	unsigned int level = root_level(slot);
	struct node *node = root_node(slot);

	if (!node || !level_covers(level, index))
		return NULL;
	for (;; level--) {
		/* Pairs with a publishing cmpxchg. */
		slot = smp_load_acquire(&node->slots[slot_of(index, level)]);
		if (!slot)
			return NULL;
		if (is_entry(slot))
			break;
		node = (struct node *)slot;
	}
	if (level && table->key(slot_entry(slot)) != index)
		return NULL;
	return slot_entry(slot);
}

static struct node *new_node(struct sparse_table *table, gfp_t gfp)
{
	struct node *node = kzalloc(sizeof(*node), gfp);

	if (node)
		atomic64_inc(&table->nodes);
	return node;
}

static void free_node(struct sparse_table *table, struct node *node)
{
	atomic64_dec(&table->nodes);
	kfree(node);
}

static unsigned int level_for(u64 index)
{
	unsigned int level = 0;

	while (!level_covers(level, index))
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

	while (!root || !level_covers(root_level(root), index)) {
		struct node *node = new_node(table, gfp);
		unsigned long raised;

		if (!node)
			return false;
		if (root) {
			node->slots[0] = (unsigned long)root_node(root);
			raised = (unsigned long)node | (root_level(root) + 1);
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
	struct node *node = new_node(table, gfp);

	if (!node)
		return false;
	if (old)
		node->slots[slot_of(table->key(slot_entry(old)), level - 1)] =
			old;
	/* Whoever was first, there is a node or another entry there now. */
	if (cmpxchg(slot, old, (unsigned long)node) != old)
		free_node(table, node);
	return true;
}

void *sparse_table_insert(struct sparse_table *table, u64 index, void *entry,
			  gfp_t gfp)
{
	unsigned long mine = (unsigned long)entry | ENTRY_TAG;
	unsigned int level;
	struct node *node;
	unsigned long root;

	if (index >> SPARSE_TABLE_INDEX_BITS || !raise_root(table, index, gfp))
		return NULL;
	/* Pairs with a publishing cmpxchg. */
	root = smp_load_acquire(&table->root);
	level = root_level(root);
	node = root_node(root);
	for (;;) {
		unsigned long *slot = &node->slots[slot_of(index, level)];
		/* Pairs with a publishing cmpxchg. */
		unsigned long old = smp_load_acquire(slot);

		if (!old && (!level || table->key)) {
			if (!cmpxchg(slot, 0UL, mine))
				return entry;
			continue;
		}
		if (is_entry(old) &&
		    (!level || table->key(slot_entry(old)) == index))
			return slot_entry(old);
		if (!old || is_entry(old)) {
			if (!deepen(table, slot, old, level, gfp))
				return NULL;
			continue;
		}
		node = (struct node *)old;
		level--;
	}
}

/* In-order search below @node; *@index is the least index still of interest. */
static void *next_below(const struct sparse_table *table, struct node *node,
			unsigned int level, u64 *index)
{
	unsigned int shift = level * NODE_SHIFT;
	unsigned int slot;

	for (slot = slot_of(*index, level); slot < NODE_SLOTS; slot++) {
		/* Pairs with a publishing cmpxchg. */
		unsigned long child = smp_load_acquire(&node->slots[slot]);
		u64 next = ((*index >> shift) + 1) << shift;
		void *found = NULL;

		if (is_entry(child)) {
			u64 key = level ? table->key(slot_entry(child)) :
					  *index;

			if (key >= *index) {
				*index = key;
				return slot_entry(child);
			}
		} else if (child) {
			found = next_below(table, (struct node *)child,
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

	if (!root || !level_covers(root_level(root), *index))
		return NULL;
	return next_below(table, root_node(root), root_level(root), index);
}

static void free_below(struct sparse_table *table, struct node *node)
{
	unsigned int slot;

	for (slot = 0; slot < NODE_SLOTS; slot++) {
		unsigned long child = node->slots[slot];

		if (child && !is_entry(child))
			free_below(table, (struct node *)child);
	}
	free_node(table, node);
}

void sparse_table_exit(struct sparse_table *table)
{
	unsigned long root = table->root;

	if (root)
		free_below(table, root_node(root));
	table->root = 0;
}
