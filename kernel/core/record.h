/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writing records into the blocks of a step or of the index.  A record never
 * crosses a block's end.  The encoding is in format.h, reading it in load_records.c.
 */
#ifndef COWSTACK_CORE_RECORD_H
#define COWSTACK_CORE_RECORD_H

#include "metadata.h"

struct record_writer {
	struct disk_record_block **blocks;
	u32 max_blocks;
	u32 count;			/* blocks begun */
	u32 used[COWSTACK_MAX_STEP_BLOCKS];	/* bytes of records in each */
	/* The run that the next word may prolong; at most one is set. */
	struct disk_words_record *words;
	struct disk_run_record *run;	/* of zeroes, or of nothing */
	layer_id_t run_layer;
	vchunk_t run_next;
};

/* A place to come back to when what follows turns out not to fit.  No run goes on over it. */
struct record_mark {
	u32 count;
	u32 used;
};

void record_writer_init(struct record_writer *w,
			struct disk_record_block **blocks, u32 max_blocks);
struct record_mark record_writer_mark(struct record_writer *w);
void record_writer_return(struct record_writer *w, struct record_mark mark);

/* All of these return false where the record does not fit any more. */
bool record_write_store(struct record_writer *w, u32 next_layer, u64 chunks);
bool record_write_volume(struct record_writer *w,
			 const struct cowstack_volume_info *info,
			 layer_id_t top);
bool record_write_volume_gone(struct record_writer *w, volume_id_t id);
bool record_write_layer(struct record_writer *w,
			const struct cowstack_layer *layer, layer_id_t parent,
			u32 flags, const char *name);
bool record_write_layer_gone(struct record_writer *w, layer_id_t id);
/* The clean words that the layer has now say nothing any more. */
bool record_write_clean_gone(struct record_writer *w, layer_id_t id);
/* Words in a row become one record, words that are all alike a short one. */
bool record_write_word(struct record_writer *w, layer_id_t layer,
		       vchunk_t chunk, map_word_t word);
bool record_write_clear(struct record_writer *w, layer_id_t layer,
			vchunk_t first, u64 count);
bool record_write_page(struct record_writer *w, layer_id_t layer, u64 page,
		       mblock_t block, u32 crc);

/* Reads a volume record's fields; -EUCLEAN for what no writer of ours wrote. */
int record_read_volume(const struct disk_volume_record *disk,
		       struct cowstack_volume_info *info, layer_id_t *top);

#endif /* COWSTACK_CORE_RECORD_H */
