// SPDX-License-Identifier: GPL-2.0
/*
 * What was loaded comes to make sense: first the tree of layers and volumes, then
 * the words.  Links are ids here; core links and counts when all is mended.  Of each
 * layer "limit" says, until the words are looked at, how many layers and volumes are
 * right above it, "old_enough" whether a volume has it as its top, and "reclaimed"
 * whether what it lay on is lost.
 */
#include "salvage.h"
#include "size.h"
#include "core/step.h"

static struct cowstack_layer *find_layer(struct salvage *s, layer_id_t id)
{
	return id == COWSTACK_BASE_LAYER ? NULL :
					   cowstack_layer_find(&s->md, id);
}

static u32 layer_number(const struct cowstack_layer *layer)
{
	return from_layer_id(layer->id);
}

static u32 volume_number(const struct cowstack_volume *volume)
{
	return from_volume_id(volume->info.id);
}

static void count_users(struct salvage *s)
{
	struct cowstack_volume *volume;
	struct cowstack_layer *layer, *below;

	list_for_each_entry(layer, &s->md.layers, list) {
		layer->limit = 0;
		layer->old_enough = false;
	}
	list_for_each_entry(layer, &s->md.layers, list) {
		below = find_layer(s, layer->parent_id);
		if (below)
			below->limit++;
	}
	list_for_each_entry(volume, &s->md.volumes, list) {
		below = find_layer(s, volume->top_id);
		if (!below)
			continue;
		below->limit++;
		below->old_enough = true;
	}
}

static bool is_frozen(const struct cowstack_layer *layer)
{
	return layer->flags & COWSTACK_LAYER_FROZEN;
}

/* --- layers --- */

/* Is there something frozen, below @layer by its number, that nothing is on? */
static struct cowstack_layer *find_lone_parent(struct salvage *s,
					       const struct cowstack_layer *layer)
{
	struct cowstack_layer *other, *found = NULL;

	list_for_each_entry(other, &s->md.layers, list) {
		if (other->limit || !is_frozen(other) ||
		    layer_number(other) >= layer_number(layer))
			continue;
		if (found)
			return NULL;
		found = other;
	}
	return found;
}

/* Only where there is no other choice. */
static void find_parent(struct salvage *s, struct cowstack_layer *layer,
			bool only_one)
{
	struct cowstack_layer *parent = only_one ? find_lone_parent(s, layer) :
						   NULL;

	s->lost_unknown = true;
	if (parent) {
		layer->parent_id = parent->id;
		salvage_note(s, "layer %u is put on layer %u, on which nothing else lies",
			     layer_number(layer), layer_number(parent));
		return;
	}
	salvage_note(s, "layer %u is put on the base: what lay between is not known",
		     layer_number(layer));
	salvage_lose_below(s, layer->id);
}

static void mend_parents(struct salvage *s)
{
	struct cowstack_layer *layer, *parent;
	unsigned int count = 0;

	count_users(s);
	list_for_each_entry(layer, &s->md.layers, list) {
		if (layer->parent_id == COWSTACK_BASE_LAYER) {
			count += layer->reclaimed;
			continue;
		}
		/* A later record may have said it. */
		layer->reclaimed = false;
		parent = find_layer(s, layer->parent_id);
		if (parent && is_frozen(parent))
			continue;
		if (parent && !parent->old_enough) {
			parent->flags |= COWSTACK_LAYER_FROZEN;
			salvage_note(s, "layer %u is frozen, as another lies on it",
				     layer_number(parent));
			continue;
		}
		salvage_note(s, "layer %u lay on layer %u, which %s",
			     layer_number(layer), from_layer_id(layer->parent_id),
			     parent ? "is a volume's top" : "is lost");
		layer->parent_id = COWSTACK_BASE_LAYER;
		layer->reclaimed = true;
		count++;
	}
	count_users(s);
	list_for_each_entry(layer, &s->md.layers, list) {
		if (!layer->reclaimed)
			continue;
		layer->reclaimed = false;
		find_parent(s, layer, count == 1);
	}
}

/* A new top, over @below or the base. */
static struct cowstack_layer *add_top(struct salvage *s,
				      struct cowstack_layer *below)
{
	struct cowstack_layer *layer;

	if (s->md.next_layer == U32_MAX)
		return NULL;
	layer = cowstack_layer_new(&s->md, to_layer_id(s->md.next_layer));
	if (!layer)
		return NULL;
	if (below) {
		below->flags |= COWSTACK_LAYER_FROZEN;
		layer->parent_id = below->id;
	}
	cowstack_layer_add(&s->md, layer);
	return layer;
}

/* The one layer that is written and that no volume has; NULL: none, or several. */
static struct cowstack_layer *find_lone_top(struct salvage *s)
{
	struct cowstack_layer *layer, *found = NULL;

	list_for_each_entry(layer, &s->md.layers, list) {
		if (layer->limit || is_frozen(layer))
			continue;
		if (found)
			return NULL;
		found = layer;
	}
	return found;
}

static bool has_good_top(struct salvage *s, const struct cowstack_volume *volume)
{
	const struct cowstack_layer *top = find_layer(s, volume->top_id);

	return top && !is_frozen(top) && top->limit == 1;
}

/* Is @below in the chain that ends in @layer? */
static bool lies_on(struct salvage *s, const struct cowstack_layer *layer,
		    const struct cowstack_layer *below)
{
	while (layer && layer != below)
		layer = find_layer(s, layer->parent_id);
	return layer;
}

static int mend_top(struct salvage *s, struct cowstack_volume *volume,
		    struct cowstack_layer **lone)
{
	struct cowstack_layer *top = find_layer(s, volume->top_id);
	struct cowstack_layer *found = *lone;
	bool added;

	/* Above the one that is named there may be the one that was meant. */
	if (found && top && !lies_on(s, found, top))
		found = NULL;
	added = !found;
	if (found)
		*lone = NULL;
	else
		found = add_top(s, top);
	if (!found)
		return -ENOMEM;
	found->limit = 1;
	salvage_note(s, "volume %u: its top, layer %u, %s; layer %u is its top now%s",
		     volume_number(volume), from_layer_id(volume->top_id),
		     top ? "is not its own" : "is lost", layer_number(found),
		     added ? ", a new one" : "");
	volume->top_id = found->id;
	if (!top || !added)
		s->lost_unknown = true;
	if (!top && added)
		salvage_lose_below(s, found->id);
	return 0;
}

static int mend_tops(struct salvage *s)
{
	struct cowstack_volume *volume;
	struct cowstack_layer *lone;

	count_users(s);
	lone = find_lone_top(s);
	/* Marked first: mending one changes what the next looks like. */
	list_for_each_entry(volume, &s->md.volumes, list)
		volume->changing = !has_good_top(s, volume);
	list_for_each_entry(volume, &s->md.volumes, list) {
		if (volume->changing && mend_top(s, volume, &lone))
			return -ENOMEM;
		volume->changing = false;
	}
	return 0;
}

/* --- layers that belong to no volume --- */

static volume_id_t find_free_id(struct salvage *s)
{
	while (cowstack_volume_find(&s->md, to_volume_id(++s->last_volume)))
		;
	return to_volume_id(s->last_volume);
}

static int rescue(struct salvage *s, struct cowstack_layer *layer)
{
	struct cowstack_volume *volume = cowstack_volume_new();
	struct cowstack_layer *top = is_frozen(layer) ? add_top(s, layer) : layer;

	if (!volume || !top) {
		cowstack_volume_delete(volume);
		return -ENOMEM;
	}
	volume->info.id = find_free_id(s);
	volume->info.sectors = 1;	/* grows to what the layers hold */
	snprintf(volume->info.name, sizeof(volume->info.name), "recovered-%u",
		 layer_number(layer));
	volume->top_id = top->id;
	layer->limit++;
	if (top != layer)
		top->limit++;
	cowstack_volume_add(&s->md, volume, NULL);
	salvage_note(s, "layer %u belonged to no volume: volume %u, %s, has it now",
		     layer_number(layer), volume_number(volume),
		     volume->info.name);
	return 0;
}

/* A layer that nothing is on; those below that only it was on follow it. */
static int mend_orphan(struct salvage *s, struct cowstack_layer *layer)
{
	struct cowstack_layer *below;

	for (; layer && !layer->limit; layer = below) {
		if (!cowstack_layer_is_empty(layer))
			return rescue(s, layer);
		salvage_note(s, "layer %u, which is empty and belonged to no volume, is left out",
			     layer_number(layer));
		below = find_layer(s, layer->parent_id);
		if (below)
			below->limit--;
		cowstack_layer_remove(&s->md, layer);
		layer->reclaimed = true;
	}
	return 0;
}

static int mend_orphans(struct salvage *s)
{
	struct cowstack_layer **orphans = NULL, **bigger, *layer;
	size_t count = 0, i;
	int error = 0;

	count_users(s);
	/* Gathered first: what is mended leaves the list, or comes into it. */
	list_for_each_entry(layer, &s->md.layers, list) {
		if (layer->limit)
			continue;
		bigger = salvage_grow(s, orphans, count, sizeof(*bigger));
		if (!bigger)
			break;
		orphans = bigger;
		orphans[count++] = layer;
	}
	for (i = 0; i < count && !error; i++)
		error = mend_orphan(s, orphans[i]);
	free(orphans);
	return error ? error : s->error;
}

/* --- volumes --- */

static u64 map_end(const struct cowstack_layer *layer)
{
	const struct map_page *page;
	u64 number, end = 0;
	unsigned int slot;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++)
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
			if (page->words[slot] != MAP_WORD_NONE)
				end = number * COWSTACK_PAGE_CHUNKS + slot + 1;
	return end;
}

/*
 * Layers that hold more than the volume has: either its size is wrong, or they are.
 * The base's size tells, where one is recorded.
 */
static void mend_size(struct salvage *s, struct cowstack_volume *volume)
{
	const struct cowstack_geometry *g = cowstack_geometry(&s->md);
	struct cowstack_volume_info *info = &volume->info;
	bool recorded = info->flags & COWSTACK_VOLUME_BASE_RECORDED;
	const struct cowstack_layer *layer;
	u64 end = 0;

	for (layer = find_layer(s, volume->top_id); layer;
	     layer = find_layer(s, layer->parent_id))
		end = max(end, map_end(layer));
	if (end <= cowstack_chunks_of(g, info->sectors))
		return;
	if (recorded && end <= cowstack_chunks_of(g, info->base_sectors))
		info->sectors = info->base_sectors;
	else if (info->sectors == 1)
		info->sectors = min(end << g->chunk_shift,
				    COWSTACK_MAX_VOLUME_SECTORS);
	else
		return;
	salvage_note(s, "volume %u has %llu sectors now: its layers hold as much",
		     volume_number(volume), llu(info->sectors));
}

static int mend_volume(struct salvage *s, struct cowstack_volume *volume)
{
	struct cowstack_volume_info *info = &volume->info;
	const struct cowstack_volume *other;
	const struct cowstack_layer *layer;
	unsigned int depth = 0;

	if (from_layer_id(info->mixed_top) >= s->md.next_layer) {
		salvage_note(s,
			     "volume %u: the layer that its unfinished commit was of never was; it is its top now",
			     volume_number(volume));
		info->mixed_top = volume->top_id;
	}
	other = info->name[0] ? cowstack_volume_find_name(&s->md, info->name) :
				volume;
	if (other != volume) {
		salvage_note(s, "volume %u loses its name %s, which volume %u has too",
			     volume_number(volume), info->name,
			     volume_number(other));
		memset(info->name, 0, sizeof(info->name));
	}
	for (layer = find_layer(s, volume->top_id); layer;
	     layer = find_layer(s, layer->parent_id))
		depth++;
	if (depth > COWSTACK_MAX_LAYERS)
		return -E2BIG;
	mend_size(s, volume);
	return 0;
}

static int mend_volumes(struct salvage *s)
{
	struct cowstack_volume *volume;
	int error;

	list_for_each_entry(volume, &s->md.volumes, list) {
		error = mend_volume(s, volume);
		if (error)
			return error;
	}
	return 0;
}

/* --- words --- */

static void set_limits(struct salvage *s)
{
	const struct cowstack_geometry *g = cowstack_geometry(&s->md);
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;
	u64 chunks;

	list_for_each_entry(layer, &s->md.layers, list)
		layer->limit = 0;
	list_for_each_entry(volume, &s->md.volumes, list) {
		chunks = cowstack_chunks_of(g, volume->info.sectors);
		for (layer = find_layer(s, volume->top_id); layer;
		     layer = find_layer(s, layer->parent_id))
			layer->limit = layer->limit ? min(layer->limit, chunks) :
						      chunks;
	}
}

static void drop_word(struct salvage *s, struct map_page *page,
		      unsigned int slot)
{
	map_page_store_clean(page, slot, MAP_WORD_NONE);
	cowstack_page_mark_home(&s->md, page);
}

/* Chunks that words name; those that metadata is in are never data's. */
struct naming {
	unsigned long *data;
	bool clean;			/* of clean words, after the others */
	/* Of one layer, words that were left out. */
	u64 behind_end;
	u64 clean_copies;
};

static bool is_named(struct salvage *s, struct naming *naming,
		     const struct cowstack_layer *layer, map_word_t word,
		     u64 chunk)
{
	u64 place = from_dchunk(map_word_chunk(word));

	if (salvage_is_reused(s, place, chunk)) {
		salvage_note(s,
			     "layer %u: the word for chunk %llu is left out: lost steps gave the store's chunk %llu to another",
			     layer_number(layer), llu(chunk), llu(place));
		return true;
	}
	if (!test_bit(place, s->md.allocator.taken) &&
	    !test_and_set_bit(place, naming->data))
		return false;
	salvage_note(s,
		     "layer %u: the word for chunk %llu is left out: the store's chunk %llu is named by another too, which may be wrong as well",
		     layer_number(layer), llu(chunk), llu(place));
	s->lost_unknown = true;
	return true;
}

static void mend_word(struct salvage *s, struct naming *naming,
		      struct cowstack_layer *layer, struct map_page *page,
		      unsigned int slot)
{
	u64 chunk = (u64)page->number * COWSTACK_PAGE_CHUNKS + slot;
	map_word_t word = page->words[slot];

	if (word == MAP_WORD_NONE)
		return;
	if (chunk >= layer->limit) {
		naming->behind_end++;
		drop_word(s, page, slot);
		return;
	}
	if (map_word_has_chunk(word) &&
	    is_named(s, naming, layer, word, chunk)) {
		salvage_lose(s, layer->id, chunk, 1);
		drop_word(s, page, slot);
	}
}

/* The base shows the same as a clean copy: nothing is lost with it. */
static void mend_clean(struct salvage *s, struct naming *naming,
		       struct cowstack_layer *layer, struct map_page *page,
		       unsigned int slot)
{
	u64 chunk = (u64)page->number * COWSTACK_PAGE_CHUNKS + slot;
	u64 place = from_dchunk(map_word_chunk(page->words[slot]));

	if (!s->clean_doubtful && !s->lost_unknown && is_frozen(layer) &&
	    chunk < layer->limit && !salvage_is_reused(s, place, chunk) &&
	    !test_bit(place, s->md.allocator.taken) &&
	    !test_and_set_bit(place, naming->data))
		return;
	naming->clean_copies++;
	drop_word(s, page, slot);
}

static void mend_page(struct salvage *s, struct naming *naming,
		      struct cowstack_layer *layer, struct map_page *page)
{
	unsigned int slot;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
		if (map_word_is_clean(page->words[slot]) != naming->clean)
			continue;
		if (naming->clean)
			mend_clean(s, naming, layer, page, slot);
		else
			mend_word(s, naming, layer, page, slot);
	}
}

static void note_left_out(struct salvage *s, struct naming *naming,
			  const struct cowstack_layer *layer)
{
	if (naming->behind_end) {
		salvage_note(s, "layer %u: %llu words are left out, behind its volume's end",
			     layer_number(layer), llu(naming->behind_end));
		/* For where they were meant is not known. */
		s->lost_unknown = true;
	}
	if (naming->clean_copies)
		salvage_note(s, "layer %u: %llu clean copies are left out; the base shows the same",
			     layer_number(layer), llu(naming->clean_copies));
	naming->behind_end = 0;
	naming->clean_copies = 0;
}

static int mend_maps(struct salvage *s, struct naming *naming)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	list_for_each_entry(layer, &s->md.layers, list) {
		for (number = 0;
		     (page = sparse_table_next(&layer->map.pages, &number));
		     number++) {
			mend_page(s, naming, layer, page);
			if (load_pause(&s->loader))
				return -EINTR;
		}
		note_left_out(s, naming, layer);
	}
	return 0;
}

static int mend_words(struct salvage *s)
{
	struct naming naming = {
		.data = calloc(BITS_TO_LONGS(s->md.allocator.chunks),
			       sizeof(long)),
	};
	struct cowstack_layer *layer;
	int error = naming.data ? 0 : -ENOMEM;

	set_limits(s);
	if (!error)
		error = mend_maps(s, &naming);
	naming.clean = true;
	if (!error)
		error = mend_maps(s, &naming);
	free(naming.data);
	list_for_each_entry(layer, &s->md.layers, list) {
		layer->limit = 0;
		layer->old_enough = false;
	}
	return error;
}

int salvage_mend(struct salvage *s)
{
	int error;

	mend_parents(s);
	error = mend_tops(s);
	if (!error)
		error = mend_orphans(s);
	/* An empty store is nothing to be proud of. */
	if (!error && (s->index_broken || s->lost_unknown) &&
	    list_empty(&s->md.volumes))
		error = -EUCLEAN;
	if (!error)
		error = mend_volumes(s);
	if (!error)
		error = mend_words(s);
	return error ? error : s->error;
}
