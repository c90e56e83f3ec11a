// SPDX-License-Identifier: GPL-2.0
#include "sparse_table.h"

enum {
	NODE_SHIFT = 5,
	NODE_SLOTS = 1 << NODE_SHIFT,
	MAX_LEVEL = (64 + NODE_SHIFT - 1) / NODE_SHIFT - 1,
	/* kmalloc and malloc both align to 16 at least for this size. */
	LEVEL_MASK = 15,
};

static_assert(MAX_LEVEL <= LEVEL_MASK, "level does not fit the root's low bits");

struct node {
	void *slots[NODE_SLOTS];
};

static struct node *root_node(unsigned long root)
{
	return (struct node *)(root & ~(unsigned long)LEVEL_MASK);
}

static unsigned int root_level(unsigned long root)
{
	return root & LEVEL_MASK;
}

/* Does a tree whose root is at @level reach @index? */
static bool level_covers(unsigned int level, u64 index)
{
	unsigned int bits = (level + 1) * NODE_SHIFT;

	return bits >= 64 || !(index >> bits);
}

static unsigned int slot_of(u64 index, unsigned int level)
{
	return (index >> (level * NODE_SHIFT)) & (NODE_SLOTS - 1);
}

void *sparse_table_get(const struct sparse_table *table, u64 index)
{
	/* Pairs with the cmpxchg that published the node. */
	unsigned long root = smp_load_acquire(&table->root);
	unsigned int level = root_level(root);
	void *slot = root_node(root);

	if (!slot || !level_covers(level, index))
		return NULL;
	for (;; level--) {
		struct node *node = slot;

		/* Pairs with the cmpxchg that published it; so below. */
		slot = smp_load_acquire(&node->slots[slot_of(index, level)]);
		if (!slot || !level)
			return slot;
	}
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

/* Makes the tree high enough for @index; the old root becomes slot 0. */
static bool raise_root(struct sparse_table *table, u64 index, gfp_t gfp)
{
	/* Pairs with a publishing cmpxchg. */
	unsigned long root = smp_load_acquire(&table->root);

	while (!root || !level_covers(root_level(root), index)) {
		struct node *node = new_node(table, gfp);
		unsigned long raised, seen;

		if (!node)
			return false;
		raised = (unsigned long)node;
		if (root) {
			node->slots[0] = root_node(root);
			raised |= root_level(root) + 1;
		}
		seen = cmpxchg(&table->root, root, raised);
		if (seen != root)
			free_node(table, node);
		/* Pairs with a publishing cmpxchg. */
		root = smp_load_acquire(&table->root);
	}
	return true;
}

void *sparse_table_insert(struct sparse_table *table, u64 index, void *entry,
			  gfp_t gfp)
{
	unsigned long root;
	unsigned int level;
	struct node *node;
	void *seen;

	if (!raise_root(table, index, gfp))
		return NULL;
	/* Pairs with a publishing cmpxchg. */
	root = smp_load_acquire(&table->root);
	node = root_node(root);
	for (level = root_level(root); level; level--) {
		void **slot = &node->slots[slot_of(index, level)];
		/* Pairs with a publishing cmpxchg. */
		struct node *below = smp_load_acquire(slot);

		if (!below) {
			below = new_node(table, gfp);
			if (!below)
				return NULL;
			seen = cmpxchg(slot, NULL, below);
			if (seen) {
				free_node(table, below);
				below = seen;
			}
		}
		node = below;
	}
	seen = cmpxchg(&node->slots[slot_of(index, 0)], NULL, entry);
	return seen ? seen : entry;
}

/* In-order search below @node; *@index is the least index still of interest. */
static void *next_below(struct node *node, unsigned int level, u64 *index)
{
	unsigned int slot;

	for (slot = slot_of(*index, level); slot < NODE_SLOTS; slot++) {
		/* Pairs with a publishing cmpxchg. */
		void *child = smp_load_acquire(&node->slots[slot]);
		unsigned int shift = level * NODE_SHIFT;
		void *found = child;

		if (child && level) {
			/* In vain, it leaves *index where the next slot begins. */
			found = next_below(child, level - 1, index);
			if (!found)
				continue;
		}
		if (found)
			return found;
		*index = ((*index >> shift) + 1) << shift;
	}
	return NULL;
}

void *sparse_table_next(const struct sparse_table *table, u64 *index)
{
	/* Pairs with a publishing cmpxchg. */
	unsigned long root = smp_load_acquire(&table->root);

	if (!root || !level_covers(root_level(root), *index))
		return NULL;
	return next_below(root_node(root), root_level(root), index);
}

static void free_below(struct sparse_table *table, struct node *node,
		       unsigned int level)
{
	unsigned int slot;

	for (slot = 0; level && slot < NODE_SLOTS; slot++)
		if (node->slots[slot])
			free_below(table, node->slots[slot], level - 1);
	free_node(table, node);
}

void sparse_table_exit(struct sparse_table *table)
{
	unsigned long root = table->root;

	if (root)
		free_below(table, root_node(root), root_level(root));
	table->root = 0;
}
