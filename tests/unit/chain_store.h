/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store with one volume of four frozen layers and a top, for tests of changes:
 * to put words there, to change the chain, and to see what came of it, in memory
 * and in what a load finds.
 */
#ifndef COWSTACK_UNIT_CHAIN_STORE_H
#define COWSTACK_UNIT_CHAIN_STORE_H

#include "commit_plan.h"
#include "store_image.h"

enum {
	CHAIN_STORE_CHUNKS = 6000,	/* of 4 KiB */
	CHAIN_VOLUME_CHUNKS = 16384,
	CHAIN_FULL_MASK = 0xff,
};

struct chain_store {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_metadata copy;	/* what a load makes of it */
	struct cowstack_volume *volume;
	struct cowstack_layer *layer[5]; /* four frozen ones and the top */
};

void chain_open(struct chain_store *s);
void chain_close(struct chain_store *s);

/* --- words; @layer is an index --- */

/* A word with room of its own; with an empty mask it is room alone. */
map_word_t chain_give(struct chain_store *s, u32 layer, u64 chunk, u16 mask,
		      bool clean);
void chain_give_zeroes(struct chain_store *s, u32 layer, u64 chunk);
/* The words as they stand enter a step, and the index is made from them. */
void chain_settle(struct chain_store *s);
map_word_t chain_word(struct chain_store *s, u32 layer, u64 chunk);
/* Takes every chunk that data may have. */
void chain_fill(struct chain_store *s);

/* --- changes --- */

/* In a step, which it waits for; @c is freed. */
void chain_run(struct chain_store *s, struct cowstack_change *c);
int chain_let_go(struct chain_store *s, const struct cowstack_let_go *what);
int chain_snapshot(struct chain_store *s, const char *name);
int chain_pin(struct chain_store *s, u32 layer, bool pinned);
int chain_remove(struct chain_store *s, u32 bottom, u32 top);
int chain_empty(struct chain_store *s, u32 layer);

/* --- what came of it --- */

/* What the volume shows of @chunk's first piece. */
struct cowstack_extent chain_look_up(struct chain_store *s, u64 chunk);
bool chain_shows(struct chain_store *s, u64 chunk, map_word_t word);
bool chain_shows_base(struct chain_store *s, u64 chunk);
/*
 * Each chunk is named by one word, or on its way to be free once, or metadata,
 * or free; and the layers count theirs right.
 */
bool chain_chunks_have_owners(struct cowstack_metadata *md);
/* Whatever waits to be free is. */
void chain_reclaim(struct chain_store *s);
bool chain_load_is_right(struct chain_store *s);
/* Now, when a checkpoint has been, and when all that is free is. */
bool chain_all_is_right(struct chain_store *s);

#endif /* COWSTACK_UNIT_CHAIN_STORE_H */
