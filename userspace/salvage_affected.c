// SPDX-License-Identifier: GPL-2.0
/*
 * Where what was lost shows: in which sectors of which volumes a read may find what
 * is older, or another's.  What a layer above holds hides it.
 */
#include "salvage.h"

struct walk {
	struct salvage *s;
	const struct cowstack_volume *volume;
	const struct lost_range *lost;
	/* Layers of the volume that hide the lost one, from the top down. */
	const struct cowstack_layer *above[COWSTACK_MAX_LAYERS];
	unsigned int above_count;
};

static void add_affected(struct walk *w, u64 first, u64 end)
{
	const struct cowstack_geometry *g = cowstack_geometry(&w->s->md);
	u64 sectors = w->volume->info.sectors;
	u64 from = first << g->chunk_shift;
	u64 to = min(end << g->chunk_shift, sectors);
	struct affected_range *last, *bigger;
	size_t count = w->s->affected_count;

	if (from >= to)
		return;
	last = count ? &w->s->affected[count - 1] : NULL;
	if (last && last->volume == w->volume->info.id &&
	    last->first + last->sectors == from) {
		last->sectors += to - from;
		return;
	}
	bigger = salvage_grow(w->s, w->s->affected, count, sizeof(*bigger));
	if (!bigger)
		return;
	w->s->affected = bigger;
	w->s->affected[w->s->affected_count++] = (struct affected_range){
		w->volume->info.id, from, to - from
	};
}

static bool is_hidden(const struct walk *w, u64 chunk)
{
	u16 full = cowstack_geometry(&w->s->md)->full_mask;
	unsigned int i;
	u16 mask = 0;

	for (i = 0; i < w->above_count; i++) {
		map_word_t word = chunk_map_get(&w->above[i]->map,
						to_vchunk(chunk));

		mask |= map_word_mask(word);
		if (map_word_is_zero(word) || mask == full)
			return true;
	}
	return false;
}

/* The first page from @number on that any layer above has. */
static u64 next_page_above(const struct walk *w, u64 number)
{
	u64 nearest = U64_MAX, found;
	unsigned int i;

	for (i = 0; i < w->above_count; i++) {
		found = number;
		if (sparse_table_next(&w->above[i]->map.pages, &found))
			nearest = min(nearest, found);
	}
	return nearest;
}

static void walk_range(struct walk *w, u64 first, u64 end)
{
	u64 page, stop;

	while (first < end) {
		page = next_page_above(w, first / COWSTACK_PAGE_CHUNKS);
		stop = page > end / COWSTACK_PAGE_CHUNKS ?
			       end : max(first, page * COWSTACK_PAGE_CHUNKS);
		add_affected(w, first, stop);
		for (first = stop; first < end &&
		     first / COWSTACK_PAGE_CHUNKS == page; first++)
			if (!is_hidden(w, first))
				add_affected(w, first, first + 1);
	}
}

static void walk_volume(struct walk *w)
{
	u64 chunks = cowstack_chunks_of(cowstack_geometry(&w->s->md),
					w->volume->info.sectors);
	const struct cowstack_layer *layer = w->volume->top;
	u64 end = min(chunks, w->lost->first + w->lost->count);

	w->above_count = 0;
	for (; layer && layer->id != w->lost->layer; layer = layer->parent)
		w->above[w->above_count++] = layer;
	if (!layer)
		return;
	if (w->lost->below)
		w->above[w->above_count++] = layer;
	walk_range(w, w->lost->first, end);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct affected_range *x = a, *y = b;
	u32 u = from_volume_id(x->volume), v = from_volume_id(y->volume);

	if (u != v)
		return u < v ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Each sector once. */
static void join_ranges(struct salvage *s)
{
	struct affected_range *to = s->affected, *from = s->affected, *end;

	if (!s->affected_count)
		return;
	end = s->affected + s->affected_count;
	qsort(s->affected, s->affected_count, sizeof(*s->affected),
	      compare_ranges);
	for (from++; from < end; from++) {
		if (from->volume == to->volume &&
		    from->first <= to->first + to->sectors)
			to->sectors = max(to->first + to->sectors,
					  from->first + from->sectors) -
				      to->first;
		else
			*++to = *from;
	}
	s->affected_count = to + 1 - s->affected;
}

static bool is_affected(const struct salvage *s, volume_id_t volume)
{
	size_t i;

	for (i = 0; i < s->affected_count; i++)
		if (s->affected[i].volume == volume)
			return true;
	return false;
}

/* What is older must not go down into a base before somebody has looked at it. */
static void pause_jobs(struct salvage *s)
{
	struct cowstack_volume *volume;

	list_for_each_entry(volume, &s->md.volumes, list) {
		struct cowstack_job *job = &volume->info.job;

		if ((job->state != COWSTACK_JOB_RUNNING &&
		     job->state != COWSTACK_JOB_QUEUED) ||
		    (!s->lost_unknown && !is_affected(s, volume->info.id)))
			continue;
		job->state = COWSTACK_JOB_PAUSED;
		salvage_note(s,
			     "volume %u: its job is paused, as it would spread what is wrong now",
			     from_volume_id(volume->info.id));
	}
}

int salvage_find_affected(struct salvage *s)
{
	struct cowstack_volume *volume;
	struct walk w = { .s = s };
	size_t i;

	list_for_each_entry(volume, &s->md.volumes, list)
		for (i = 0; i < s->lost_count; i++) {
			w.volume = volume;
			w.lost = &s->lost[i];
			walk_volume(&w);
			if (s->error)
				return s->error;
			if (load_pause(&s->loader))
				return -EINTR;
		}
	join_ranges(s);
	pause_jobs(s);
	return s->error;
}
