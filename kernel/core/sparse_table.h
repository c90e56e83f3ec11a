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

/* The entry at @index or NULL.  Any context. */
void *sparse_table_get(const struct sparse_table *table, u64 index);

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
