// SPDX-License-Identifier: GPL-2.0
#include "dump.h"
#include "dump_line.h"

struct writer {
	struct text_file *file;
	struct dump_run run;		/* not printed yet; .count 0: none */
	struct dump_end end;
};

static void print_line(struct writer *w, enum dump_line_kind kind,
		       const void *fields)
{
	char line[DUMP_LINE];

	dump_line_print(kind, fields, line);
	text_file_put(w->file, line);
	text_file_put(w->file, "\n");
}

static void print_store(struct writer *w, const struct cowstack_metadata *md)
{
	const struct cowstack_superblock *sb = &md->superblock;
	struct dump_store line = {
		.created = sb->created,
		.compat = sb->compat,
		.ro_compat = sb->ro_compat,
		.chunk_sectors = sb->geometry.chunk_sectors,
		.ring_blocks = sb->geometry.ring_blocks,
		.data_start = sb->geometry.data_start,
		.chunks = sb->geometry.chunks,
		.next_layer = md->next_layer,
	};

	memcpy(line.uuid, sb->uuid, sizeof(line.uuid));
	memcpy(line.name, sb->name, sizeof(line.name));
	print_line(w, DUMP_LINE_STORE, &line);
}

static void print_layer(struct writer *w, const struct cowstack_layer *layer)
{
	struct dump_layer line = {
		.id = from_layer_id(layer->id),
		.parent = layer->parent ? from_layer_id(layer->parent->id) : 0,
		.flags = layer->flags,
		.created = layer->created,
	};

	memcpy(line.name, layer->name, sizeof(line.name));
	print_line(w, DUMP_LINE_LAYER, &line);
	w->end.layers++;
}

static void print_base(struct writer *w, const struct cowstack_volume_info *info)
{
	struct dump_base line = {
		.flags = info->flags,
		.sectors = info->base_sectors,
		.seed = info->base_seed,
		.crc = info->base_crc,
		.mixed_top = from_layer_id(info->mixed_top),
		.time = info->base_time,
	};

	memcpy(line.name, info->base_name, sizeof(line.name));
	print_line(w, DUMP_LINE_BASE, &line);
}

static void print_job(struct writer *w, const struct cowstack_job *job)
{
	struct dump_job line = {
		.kind = job->kind,
		.state = job->state,
		.on_error = job->on_error,
		.flags = job->flags,
		.top = from_layer_id(job->top),
		.base = from_layer_id(job->base),
		.error = job->error,
		.speed = job->speed,
		.until = job->until,
		.cursor = job->cursor,
		.done = job->done,
		.total = job->total,
		.errors = job->errors,
		.first_error = job->first_error,
	};

	print_line(w, DUMP_LINE_JOB, &line);
}

static void print_volume(struct writer *w, const struct cowstack_volume *volume)
{
	struct dump_volume line = {
		.id = from_volume_id(volume->info.id),
		.top = from_layer_id(volume->top->id),
		.sectors = volume->info.sectors,
	};

	memcpy(line.name, volume->info.name, sizeof(line.name));
	print_line(w, DUMP_LINE_VOLUME, &line);
	print_base(w, &volume->info);
	print_job(w, &volume->info.job);
	w->end.volumes++;
}

/* --- maps --- */

static void end_run(struct writer *w)
{
	if (!w->run.count)
		return;
	print_line(w, DUMP_LINE_RUN, &w->run);
	w->end.runs++;
	w->end.chunks += w->run.count;
	w->run.count = 0;
}

static bool continues_run(const struct dump_run *run, const struct dump_run *word)
{
	return run->count && run->first + run->count == word->first &&
	       run->mask == word->mask && run->flags == word->flags &&
	       (run->chunk ? run->chunk + run->count : 0) == word->chunk;
}

static void add_word(struct writer *w, u64 chunk, map_word_t word)
{
	struct dump_run one = {
		.first = chunk,
		.count = 1,
		.chunk = map_word_raw(word) >> MAP_WORD_CHUNK_SHIFT,
		.mask = map_word_mask(word),
		.flags = map_word_is_zero(word) | map_word_is_clean(word) << 1,
	};

	if (continues_run(&w->run, &one)) {
		w->run.count++;
		return;
	}
	end_run(w);
	w->run = one;
}

static void print_map(struct writer *w, const struct cowstack_layer *layer)
{
	struct dump_map line = { .layer = from_layer_id(layer->id) };
	const struct map_page *page;
	bool begun = false;
	unsigned int slot;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++)
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			map_word_t word = map_word_durable(page->words[slot]);

			if (word == MAP_WORD_NONE)
				continue;
			if (!begun)
				print_line(w, DUMP_LINE_MAP, &line);
			begun = true;
			add_word(w, number * COWSTACK_PAGE_CHUNKS + slot, word);
		}
	end_run(w);
}

/* --- in order --- */

static int compare_layers(const void *a, const void *b)
{
	u32 x = from_layer_id((*(struct cowstack_layer * const *)a)->id);
	u32 y = from_layer_id((*(struct cowstack_layer * const *)b)->id);

	return x < y ? -1 : x > y;
}

static int compare_volumes(const void *a, const void *b)
{
	u32 x = from_volume_id((*(struct cowstack_volume * const *)a)->info.id);
	u32 y = from_volume_id((*(struct cowstack_volume * const *)b)->info.id);

	return x < y ? -1 : x > y;
}

static size_t count_list(const struct list_head *head)
{
	const struct list_head *item;
	size_t count = 0;

	for (item = head->next; item != head; item = item->next)
		count++;
	return count;
}

static int print_all(struct writer *w, struct cowstack_metadata *md)
{
	size_t layer_count = count_list(&md->layers);
	size_t volume_count = count_list(&md->volumes);
	struct cowstack_layer **layers = calloc(layer_count + 1, sizeof(*layers));
	struct cowstack_volume **volumes = calloc(volume_count + 1,
						  sizeof(*volumes));
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;
	int error = -ENOMEM;
	size_t i = 0, k = 0;

	if (!layers || !volumes)
		goto out;
	list_for_each_entry(layer, &md->layers, list)
		layers[i++] = layer;
	list_for_each_entry(volume, &md->volumes, list)
		volumes[k++] = volume;
	qsort(layers, layer_count, sizeof(*layers), compare_layers);
	qsort(volumes, volume_count, sizeof(*volumes), compare_volumes);
	for (i = 0; i < layer_count; i++)
		print_layer(w, layers[i]);
	for (i = 0; i < volume_count; i++)
		print_volume(w, volumes[i]);
	for (i = 0; i < layer_count; i++)
		print_map(w, layers[i]);
	error = 0;
out:
	free(layers);
	free(volumes);
	return error;
}

int dump_write(struct cowstack_metadata *md, struct text_file *file)
{
	struct writer w = { .file = file };
	int error;

	text_file_put(file, DUMP_HEAD "\n");
	print_store(&w, md);
	error = print_all(&w, md);
	if (!error)
		print_line(&w, DUMP_LINE_END, &w.end);
	return error;
}
