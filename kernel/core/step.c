// SPDX-License-Identifier: GPL-2.0
#include "step.h"

void cowstack_step_begin(struct cowstack_metadata *md,
			 struct cowstack_step *step,
			 struct disk_record_block **blocks)
{
	record_writer_init(&step->writer, blocks, md->max_step_blocks);
	INIT_LIST_HEAD(&step->transactions);
	INIT_LIST_HEAD(&step->freed);
	step->sequence = md->next_step;
	step->position = md->head;
	step->blocks = 0;
	step->complete = false;
}

void cowstack_page_mark_home(struct cowstack_metadata *md,
			     struct map_page *page)
{
	if (test_and_set_bit(MAP_PAGE_HOME_DIRTY, &page->flags))
		return;
	page->home_next = md->home_dirty;
	md->home_dirty = page;
	md->home_dirty_count++;
}

/* Encodes the words at @bits, which it clears; false: the step is full. */
static bool encode_words(struct cowstack_step *step, struct map_page *page,
			 unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)])
{
	u64 first = (u64)page->number * COWSTACK_PAGE_CHUNKS;
	unsigned long slot;

	for (slot = find_next_bit(bits, COWSTACK_PAGE_CHUNKS, 0);
	     slot < COWSTACK_PAGE_CHUNKS;
	     slot = find_next_bit(bits, COWSTACK_PAGE_CHUNKS, slot + 1)) {
		/* Pairs with the publication of the word. */
		map_word_t word = smp_load_acquire(&page->words[slot]);

		if (!record_write_word(&step->writer, page->map->layer->id,
				       to_vchunk(first + slot), word))
			return false;
		__clear_bit(slot, bits);
	}
	return true;
}

/* What does not fit stays dirty for the next step; false: so it was. */
static bool collect_page(struct cowstack_metadata *md,
			 struct cowstack_step *step, struct map_page *page)
{
	unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)];

	map_page_take_dirty(page, bits);
	/* Nothing of a layer that is gone reaches a step any more. */
	if (page->map->layer->gone)
		return true;
	cowstack_page_mark_home(md, page);
	if (encode_words(step, page, bits))
		return true;
	map_page_return_dirty(page, bits);
	return false;
}

/* Empties md->collecting; false: the step is full before that. */
static bool collect_list(struct cowstack_metadata *md,
			 struct cowstack_step *step)
{
	while (md->collecting) {
		struct llist_node *node = md->collecting;
		struct map_page *page = llist_entry(node, struct map_page,
						    dirty_node);

		/* Out of this list before it may come into the other. */
		WRITE_ONCE(md->collecting, node->next);
		if (!collect_page(md, step, page))
			return false;
	}
	return true;
}

/*
 * A step may take words that were published while it was being made: they are
 * true, and their data was written before they were published, so the step's
 * PREFLUSH makes it durable with them.
 */
void cowstack_step_collect(struct cowstack_metadata *md,
			   struct cowstack_step *step)
{
	/*
	 * Chunks freed up to here had their words changed before, and those
	 * words are in the list, in this step, or in an earlier one.
	 */
	cowstack_allocator_collect(&md->allocator, &md->freed_waiting);
	if (!collect_list(md, step))
		return;
	WRITE_ONCE(md->collecting, llist_del_all(&md->dirty));
	if (!collect_list(md, step))
		return;
	list_splice_tail_init(&md->freed_waiting, &step->freed);
	step->complete = true;
}

bool cowstack_step_add(struct cowstack_step *step,
		       struct cowstack_transaction *t)
{
	struct record_mark mark = record_writer_mark(&step->writer);

	if (!step->complete)
		return false;
	if (!t->encode(t, &step->writer)) {
		record_writer_return(&step->writer, mark);
		return false;
	}
	list_move_tail(&t->list, &step->transactions);
	return true;
}

void cowstack_block_seal(const struct cowstack_metadata *md,
			 struct disk_record_block *block, u32 magic,
			 mblock_t place, u64 sequence, u64 nonce, u32 used)
{
	struct disk_block_header *header = &block->header;
	const size_t head = offsetof(struct disk_record_block, records);

	header->magic = cpu_to_le32(magic);
	memcpy(header->uuid, md->superblock.uuid, sizeof(header->uuid));
	header->place = cpu_to_le64(from_mblock(place));
	header->sequence = cpu_to_le64(sequence);
	header->nonce = cpu_to_le64(nonce);
	block->used = cpu_to_le32(used);
	memset(block->records + used, 0, sizeof(block->records) - used);
	header->crc = cpu_to_le32(cowstack_block_crc(block, head + used));
}

bool cowstack_block_is_valid(const struct cowstack_metadata *md,
			     const struct disk_record_block *block, u32 magic,
			     u64 place)
{
	const size_t head = offsetof(struct disk_record_block, records);
	u32 used = le32_to_cpu(block->used);

	return le32_to_cpu(block->header.magic) == magic &&
	       !memcmp(block->header.uuid, md->superblock.uuid,
		       COWSTACK_UUID_SIZE) &&
	       le64_to_cpu(block->header.place) == place &&
	       used <= sizeof(block->records) &&
	       le32_to_cpu(block->header.crc) ==
		       cowstack_block_crc(block, head + used);
}

static mblock_t place_in_ring(const struct cowstack_metadata *md, u64 position)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u64 offset;

	div64_u64_rem(position, g->ring_blocks, &offset);
	return to_mblock(from_mblock(g->ring_start) + offset);
}

mblock_t cowstack_step_place(const struct cowstack_metadata *md,
			     const struct cowstack_step *step, u32 i)
{
	return place_in_ring(md, step->position + i);
}

mblock_t cowstack_step_last_place(const struct cowstack_metadata *md)
{
	return place_in_ring(md, md->head - 1);
}

bool cowstack_step_is_last(const struct cowstack_metadata *md,
			   const struct disk_record_block *block)
{
	u64 place = from_mblock(cowstack_step_last_place(md));

	return cowstack_block_is_valid(md, block, COWSTACK_MAGIC_STEP, place) &&
	       le64_to_cpu(block->header.sequence) == md->next_step - 1;
}

void cowstack_step_seal(struct cowstack_metadata *md,
			struct cowstack_step *step)
{
	struct record_writer *w = &step->writer;
	u32 crc = 0;
	u32 i;

	step->blocks = w->count;
	for (i = 0; i < w->count; i++)
		crc = environment_crc32(crc, w->blocks[i]->records, w->used[i]);
	for (i = 0; i < w->count; i++) {
		struct disk_record_block *block = w->blocks[i];

		block->number = cpu_to_le32(i);
		block->step_blocks = cpu_to_le32(w->count);
		block->step_crc = cpu_to_le32(crc);
		cowstack_block_seal(md, block, COWSTACK_MAGIC_STEP,
				    cowstack_step_place(md, step, i),
				    step->sequence, md->nonce, w->used[i]);
	}
}

void cowstack_step_finish(struct cowstack_metadata *md,
			  struct cowstack_step *step,
			  struct list_head *applied)
{
	struct cowstack_transaction *t, *next;

	if (step->blocks) {
		md->next_step++;
		WRITE_ONCE(md->head, md->head + step->blocks);
	}
	cowstack_allocator_durable(&md->allocator, &step->freed);
	list_for_each_entry_safe(t, next, &step->transactions, list) {
		t->apply(t);
		list_move_tail(&t->list, applied);
	}
}
