// SPDX-License-Identifier: GPL-2.0
/*
 * A dump becomes metadata in memory by way of the records that a device would hold:
 * so it is checked by the code that checks those, and nothing that it can say is
 * believed here.
 */
#include <stdarg.h>
#include <stdio.h>

#include "dump.h"
#include "dump_line.h"
#include "core/loader.h"
#include "core/record.h"

struct reader {
	struct text_file *file;
	struct cowstack_metadata *md;
	struct loader loader;
	struct cowstack_load_report report;
	struct dump_error *error;
	bool initialised;		/* md is to be freed */
	/* The line that is next. */
	char line[DUMP_LINE];
	enum dump_line_kind kind;
	union dump_fields fields;
	/* What has been read so far. */
	struct dump_end seen;
	unsigned long *taken;		/* a bit per chunk of the store */
	u64 next_chunk;			/* of the layer, that may have a run */
	struct disk_record_block block;
	struct disk_record_block *blocks[1];
};

__printf(3, 4)
static int refuse(struct reader *r, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->error->why, sizeof(r->error->why), format, arguments);
	va_end(arguments);
	return error;
}

/* --- lines --- */

static int next_line(struct reader *r)
{
	const char *key;
	int result;

	r->error->line++;
	result = text_file_get(r->file, r->line, sizeof(r->line));
	if (result == -EINVAL)
		return refuse(r, -EINVAL, "this is no line of text");
	if (result < 0)
		return refuse(r, result, "it cannot be read");
	if (!result)
		return refuse(r, -EINVAL, "the dump is cut off");
	r->kind = dump_line_kind(r->line);
	if (r->kind == DUMP_LINE_KINDS)
		return refuse(r, -EINVAL, "this is no line of a dump");
	key = dump_line_parse(r->kind, r->line, &r->fields);
	if (key)
		return refuse(r, -EINVAL, "%s is missing or wrong", key);
	return 0;
}

static int expect_line(struct reader *r, enum dump_line_kind kind)
{
	int error = next_line(r);

	if (!error && r->kind != kind)
		error = refuse(r, -EINVAL, "a line \"%s\" should be here",
			       dump_line_word(kind));
	return error;
}

static int expect_end_of_file(struct reader *r)
{
	r->error->line++;
	if (text_file_get(r->file, r->line, sizeof(r->line)))
		return refuse(r, -EINVAL, "there is something behind the end");
	r->error->line--;
	return 0;
}

/* --- records --- */

/* What core says of a record is said of the line that it was made of. */
static int check_result(struct reader *r, int error)
{
	if (error == -EUCLEAN || error == -EFBIG)
		return refuse(r, error == -EFBIG ? error : -EINVAL, "%s",
			      r->report.why);
	if (error)
		refuse(r, error, "%s", strerror(-error));
	return error;
}

static void begin_records(struct reader *r, struct record_writer *w)
{
	r->blocks[0] = &r->block;
	record_writer_init(w, r->blocks, 1);
}

static int take_records(struct reader *r, struct record_writer *w)
{
	if (!w->count)
		return 0;
	return check_result(r, load_records(&r->loader, r->block.records,
					    w->used[0]));
}

/* --- store, layers, volumes --- */

static bool fits_device(const struct dump_store *line, u64 device_sectors)
{
	u64 bytes;

	return !check_mul_overflow(line->chunks, line->chunk_sectors, &bytes) &&
	       !check_add_overflow(bytes, line->data_start, &bytes) &&
	       bytes <= device_sectors;
}

/* By way of the block that a device would have: what it may hold is known there. */
static int decode_store(struct reader *r, struct cowstack_superblock *sb)
{
	const struct dump_store *line = &r->fields.store;
	struct disk_superblock block;
	const char *why;
	int error;

	memset(sb, 0, sizeof(*sb));
	memcpy(sb->uuid, line->uuid, sizeof(sb->uuid));
	memcpy(sb->name, line->name, sizeof(sb->name));
	sb->sequence = 1;
	sb->compat = line->compat;
	sb->ro_compat = line->ro_compat;
	sb->created = line->created;
	sb->tail_step = 1;
	sb->geometry.chunk_sectors = line->chunk_sectors;
	sb->geometry.ring_start = to_mblock(COWSTACK_RING_START);
	sb->geometry.ring_blocks = line->ring_blocks;
	sb->geometry.data_start = line->data_start;
	sb->geometry.chunks = line->chunks;
	cowstack_superblock_encode(sb, COWSTACK_SUPERBLOCK_A, &block);
	error = cowstack_superblock_decode(sb, &block, COWSTACK_SUPERBLOCK_A,
					   r->loader.reader->device_sectors,
					   &why);
	return error ? refuse(r, -EINVAL, "%s", why) : 0;
}

static int read_store(struct reader *r)
{
	const struct dump_store *line = &r->fields.store;
	struct cowstack_superblock sb;
	struct record_writer w;
	int error = expect_line(r, DUMP_LINE_STORE);

	if (error)
		return error;
	if (!fits_device(line, r->loader.reader->device_sectors))
		return refuse(r, -ENOSPC, "its store is larger than the device");
	if (line->ro_compat & ~COWSTACK_FEATURES_RO_COMPAT)
		return refuse(r, -EINVAL,
			      "a feature is not known to this version, which may not write such a store");
	error = decode_store(r, &sb);
	if (error)
		return error;
	r->taken = calloc(BITS_TO_LONGS(sb.geometry.chunks), sizeof(long));
	if (!r->taken || cowstack_metadata_init(r->md, &sb))
		return check_result(r, -ENOMEM);
	r->initialised = true;
	begin_records(r, &w);
	record_write_store(&w, line->next_layer, line->chunks);
	return take_records(r, &w);
}

static bool is_frozen(struct reader *r, u32 id)
{
	const struct cowstack_layer *layer;

	layer = cowstack_layer_find(r->md, to_layer_id(id));
	return layer && layer->flags & COWSTACK_LAYER_FROZEN;
}

static int read_layer(struct reader *r, u64 last)
{
	const struct dump_layer *line = &r->fields.layer;
	struct cowstack_layer layer = { .id = to_layer_id(line->id),
					.created = line->created };
	struct record_writer w;

	if (line->id <= last)
		return refuse(r, -EINVAL, "layers do not ascend");
	if (line->parent && !is_frozen(r, line->parent))
		return refuse(r, -EINVAL,
			      "layer lies on none, or on one that is not frozen");
	begin_records(r, &w);
	record_write_layer(&w, &layer, to_layer_id(line->parent), line->flags,
			   line->name);
	r->seen.layers++;
	return take_records(r, &w);
}

static void fill_volume(const struct dump_volume *line,
			struct cowstack_volume_info *info)
{
	memset(info, 0, sizeof(*info));
	info->id = to_volume_id(line->id);
	info->sectors = line->sectors;
	memcpy(info->name, line->name, sizeof(info->name));
}

static void fill_base(const struct dump_base *line,
		      struct cowstack_volume_info *info)
{
	info->flags = line->flags;
	info->base_sectors = line->sectors;
	info->base_seed = line->seed;
	info->base_crc = line->crc;
	info->mixed_top = to_layer_id(line->mixed_top);
	info->base_time = line->time;
	memcpy(info->base_name, line->name, sizeof(info->base_name));
}

static void fill_job(const struct dump_job *line, struct cowstack_job *job)
{
	job->kind = line->kind;
	job->state = line->state;
	job->on_error = line->on_error;
	job->flags = line->flags;
	job->top = to_layer_id(line->top);
	job->base = to_layer_id(line->base);
	job->error = line->error;
	job->speed = line->speed;
	job->until = line->until;
	job->cursor = line->cursor;
	job->done = line->done;
	job->total = line->total;
	job->errors = line->errors;
	job->first_error = line->first_error;
}

static int read_volume(struct reader *r, u64 *least)
{
	struct cowstack_volume_info info;
	struct record_writer w;
	layer_id_t top = to_layer_id(r->fields.volume.top);
	int error;

	if (r->fields.volume.id < *least)
		return refuse(r, -EINVAL, "volumes do not ascend");
	*least = r->fields.volume.id + 1;
	if (!cowstack_layer_find(r->md, top))
		return refuse(r, -EINVAL, "volume has no top layer of its own");
	fill_volume(&r->fields.volume, &info);
	error = expect_line(r, DUMP_LINE_BASE);
	if (error)
		return error;
	fill_base(&r->fields.base, &info);
	error = expect_line(r, DUMP_LINE_JOB);
	if (error)
		return error;
	fill_job(&r->fields.job, &info.job);
	begin_records(r, &w);
	record_write_volume(&w, &info, top);
	r->seen.volumes++;
	return take_records(r, &w);
}

/* --- maps --- */

/* Each of the store's chunks is named once; that it is one of them, too. */
static int claim_chunks(struct reader *r, u64 first, u64 count)
{
	u64 chunks = cowstack_geometry(r->md)->chunks;
	u64 i;

	if (first > chunks || count > chunks - first)
		return refuse(r, -EINVAL, "a chunk is out of range");
	for (i = first; i < first + count; i++)
		if (test_and_set_bit(i, r->taken))
			return refuse(r, -EINVAL, "chunk %llu is named twice",
				      (unsigned long long)i);
	return 0;
}

/* Words of data, as many as one block takes at a time. */
static int take_words(struct reader *r, layer_id_t layer)
{
	const struct dump_run *run = &r->fields.run;
	struct record_writer w;
	int error = 0;
	u64 i, raw;

	begin_records(r, &w);
	for (i = 0; i < run->count && !error; i++) {
		raw = (run->chunk + i) << MAP_WORD_CHUNK_SHIFT |
		      run->flags << MAP_WORD_ZERO_BIT | run->mask;
		if (record_write_word(&w, layer, to_vchunk(run->first + i),
				      map_word_from_raw(raw)))
			continue;
		error = take_records(r, &w);
		begin_records(r, &w);
		i--;
	}
	return error ? error : take_records(r, &w);
}

/* One record says all of a run of zeroes. */
static int take_zeroes(struct reader *r, layer_id_t layer)
{
	const struct dump_run *run = &r->fields.run;
	struct disk_run_record *record = (void *)r->block.records;

	if (run->mask || run->flags != 1)
		return refuse(r, -EINVAL, "map word makes no sense");
	memset(record, 0, sizeof(*record));
	record->header.type = cpu_to_le16(COWSTACK_RECORD_ZERO);
	record->header.bytes = cpu_to_le16(sizeof(*record));
	record->header.id = cpu_to_le32(from_layer_id(layer));
	record->first = cpu_to_le64(run->first);
	record->count = cpu_to_le64(run->count);
	return check_result(r, load_records(&r->loader, r->block.records,
					    sizeof(*record)));
}

static int read_run(struct reader *r, layer_id_t layer)
{
	const struct dump_run *run = &r->fields.run;
	int error;

	if (!run->count || run->first < r->next_chunk ||
	    check_add_overflow(run->first, run->count, &r->next_chunk))
		return refuse(r, -EINVAL, "runs do not ascend");
	r->seen.runs++;
	r->seen.chunks += run->count;
	if (!run->chunk)
		return take_zeroes(r, layer);
	/* No writer would take it as it is. */
	if (!run->mask)
		return refuse(r, -EINVAL, "map word makes no sense");
	error = claim_chunks(r, run->chunk - 1, run->count);
	return error ? error : take_words(r, layer);
}

/* The runs of one layer, up to a line of another kind. */
static int read_map(struct reader *r, u64 last)
{
	layer_id_t layer = to_layer_id(r->fields.map.layer);
	int error;

	if (r->fields.map.layer <= last)
		return refuse(r, -EINVAL, "maps do not ascend");
	r->next_chunk = 0;
	error = expect_line(r, DUMP_LINE_RUN);
	while (!error && r->kind == DUMP_LINE_RUN) {
		error = read_run(r, layer);
		if (!error)
			error = next_line(r);
	}
	return error;
}

/* --- all of it --- */

static int read_layers(struct reader *r)
{
	int error = next_line(r);
	u64 last = 0;

	while (!error && r->kind == DUMP_LINE_LAYER) {
		error = read_layer(r, last);
		last = r->fields.layer.id;
		if (!error)
			error = next_line(r);
	}
	return error;
}

static int read_volumes(struct reader *r)
{
	u64 least = 0;
	int error = 0;

	while (!error && r->kind == DUMP_LINE_VOLUME) {
		error = read_volume(r, &least);
		if (!error)
			error = next_line(r);
	}
	return error;
}

static int read_maps(struct reader *r)
{
	u64 last = 0, layer;
	int error = 0;

	while (!error && r->kind == DUMP_LINE_MAP) {
		layer = r->fields.map.layer;
		error = read_map(r, last);
		last = layer;
	}
	return error;
}

static int read_end(struct reader *r)
{
	if (r->kind != DUMP_LINE_END)
		return refuse(r, -EINVAL, "a line \"%s\" should not be here",
			      dump_line_word(r->kind));
	if (memcmp(&r->fields.end, &r->seen, sizeof(r->seen)))
		return refuse(r, -EINVAL,
			      "there was more, or less, than its end says");
	return expect_end_of_file(r);
}

static int read_all(struct reader *r)
{
	int error = read_store(r);

	if (!error)
		error = read_layers(r);
	if (!error)
		error = read_volumes(r);
	if (!error)
		error = read_maps(r);
	if (!error)
		error = read_end(r);
	if (error)
		return error;
	/* What is wrong now is so between lines. */
	r->error->line = 0;
	return check_result(r, load_finish(&r->loader));
}

int dump_read(struct text_file *file, const struct cowstack_reader *limits,
	      struct cowstack_metadata *md, struct dump_error *error)
{
	struct reader *r = calloc(1, sizeof(*r));
	int result;

	memset(error, 0, sizeof(*error));
	error->line = 1;
	if (!r)
		return -ENOMEM;
	r->file = file;
	r->md = md;
	r->error = error;
	r->loader.md = md;
	r->loader.report = &r->report;
	/* It is asked for numbers only. */
	r->loader.reader = (struct cowstack_reader *)limits;
	result = load_begin(&r->loader);
	if (!result)
		result = read_all(r);
	if (result && r->initialised)
		cowstack_metadata_exit(md);
	load_end(&r->loader);
	free(r->taken);
	free(r);
	return result;
}
