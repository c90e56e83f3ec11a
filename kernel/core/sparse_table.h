/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sparse array of pointers: a radix tree of 64-byte nodes, 8 slots each, as
 * high as its highest index needs.  An untouched range costs nothing.  Where
 * entries can tell their own index (@key), one that is alone below a node hangs
 * there directly, so that entries far apart cost no nodes of their own.
 *
 * Lookups take no lock and may run beside insertions.  Entries and nodes stay
 * until the whole table is torn down, when nobody may look any more.
 */
#ifndef COWSTACK_CORE_SPARSE_TABLE_H
#define COWSTACK_CORE_SPARSE_TABLE_H

#include "environment.h"

struct sparse_table {
	/* Root node, its level in the low bits; 0: empty. */
	unsigned long root;
	/* The index that an entry was inserted at, or NULL: entries don't know. */
	u64 (*key)(const void *entry);
	atomic64_t nodes;
};

/* Indexes are below 2 to this power: map pages have 32 bits, chunks 44. */
#define SPARSE_TABLE_INDEX_BITS 48
#define SPARSE_TABLE_NODE_BYTES (8 * sizeof(void *))

/* Inside, shown for the lookup, which every I/O makes. */

enum {
	SPARSE_TABLE_NODE_SHIFT = 3,
	SPARSE_TABLE_NODE_SLOTS = 1 << SPARSE_TABLE_NODE_SHIFT,
	/* kmalloc and malloc both align a node to 16 at least. */
	SPARSE_TABLE_LEVEL_MASK = 15,
	/* In a slot: an entry, not a node. */
	SPARSE_TABLE_ENTRY_TAG = 1,
};

struct sparse_node {
	unsigned long slots[SPARSE_TABLE_NODE_SLOTS];
};

static inline struct sparse_node *sparse_root_node(unsigned long root)
{
	return (struct sparse_node *)(root &
				      ~(unsigned long)SPARSE_TABLE_LEVEL_MASK);
}

static inline unsigned int sparse_root_level(unsigned long root)
{
	return root & SPARSE_TABLE_LEVEL_MASK;
}

static inline bool sparse_is_entry(unsigned long slot)
{
	return slot & SPARSE_TABLE_ENTRY_TAG;
}

static inline void *sparse_slot_entry(unsigned long slot)
{
	return (void *)(slot & ~(unsigned long)SPARSE_TABLE_ENTRY_TAG);
}

/* Does a tree whose root is at @level reach @index? */
static inline bool sparse_level_covers(unsigned int level, u64 index)
{
	return !(index >> ((level + 1) * SPARSE_TABLE_NODE_SHIFT));
}

static inline unsigned int sparse_slot_of(u64 index, unsigned int level)
{
	return (index >> (level * SPARSE_TABLE_NODE_SHIFT)) &
	       (SPARSE_TABLE_NODE_SLOTS - 1);
}

/* The entry at @index or NULL.  Any context. */
static inline void *sparse_table_get(const struct sparse_table *table,
				     u64 index)
{
	/* Pairs with the cmpxchg that published it; so below. */
	unsigned long slot = smp_load_acquire(&table->root);
	unsigned int level = sparse_root_level(slot);
	struct sparse_node *node = sparse_root_node(slot);

	if (!node || !sparse_level_covers(level, index))
		return NULL;
	for (;; level--) {
		/* Pairs with a publishing cmpxchg. */
		slot = smp_load_acquire(&node->slots[sparse_slot_of(index,
								    level)]);
		if (!slot)
			return NULL;
		if (sparse_is_entry(slot))
			break;
		node = (struct sparse_node *)slot;
	}
	if (level && table->key(sparse_slot_entry(slot)) != index)
		return NULL;
	return sparse_slot_entry(slot);
}

/**
 * sparse_table_insert() - put @entry at @index unless something is there.
 * @entry: aligned to 2 bytes at least
 * @gfp: how new nodes are allocated; sleeps only if that does
 *
 * May run beside itself and beside lookups.
 *
 * Return: what is at @index now, @entry or an earlier one; NULL: no memory, or
 * an index out of range.
 */
void *sparse_table_insert(struct sparse_table *table, u64 index, void *entry,
			  gfp_t gfp);

/* The first entry at *@index or above, whose place goes to *@index, or NULL. */
void *sparse_table_next(const struct sparse_table *table, u64 *index);

/* Frees the nodes, not the entries.  Nobody may use the table any more. */
void sparse_table_exit(struct sparse_table *table);

#endif /* COWSTACK_CORE_SPARSE_TABLE_H */
