// SPDX-License-Identifier: GPL-2.0
#include "record.h"

#define RECORD_ROOM sizeof(((struct disk_record_block *)NULL)->records)

void record_writer_init(struct record_writer *w,
			struct disk_record_block **blocks, u32 max_blocks)
{
	w->blocks = blocks;
	w->max_blocks = min_t(u32, max_blocks, COWSTACK_MAX_STEP_BLOCKS);
	w->count = 0;
	w->words = NULL;
	w->run = NULL;
}

struct record_mark record_writer_mark(struct record_writer *w)
{
	struct record_mark mark = { .count = w->count };

	/* A record in front of it that grew could not be made short again. */
	w->words = NULL;
	w->run = NULL;
	if (w->count)
		mark.used = w->used[w->count - 1];
	return mark;
}

void record_writer_return(struct record_writer *w, struct record_mark mark)
{
	w->count = mark.count;
	if (mark.count)
		w->used[mark.count - 1] = mark.used;
	w->words = NULL;
	w->run = NULL;
}

/* Room for a record in the last block, or in one more; NULL: none is left. */
static void *reserve(struct record_writer *w, size_t bytes)
{
	u8 *place;

	if (!w->count || w->used[w->count - 1] + bytes > RECORD_ROOM) {
		if (w->count == w->max_blocks)
			return NULL;
		w->used[w->count++] = 0;
	}
	place = w->blocks[w->count - 1]->records + w->used[w->count - 1];
	w->used[w->count - 1] += bytes;
	memset(place, 0, bytes);
	return place;
}

static void *begin_record(struct record_writer *w,
			  enum cowstack_record_type type, u32 id, size_t bytes)
{
	struct disk_record *record = reserve(w, bytes);

	w->words = NULL;
	w->run = NULL;
	if (!record)
		return NULL;
	record->type = cpu_to_le16(type);
	record->bytes = cpu_to_le16(bytes);
	record->id = cpu_to_le32(id);
	return record;
}

bool record_write_store(struct record_writer *w, u32 next_layer, u64 chunks)
{
	struct disk_store_record *r;

	r = begin_record(w, COWSTACK_RECORD_STORE, 0, sizeof(*r));
	if (!r)
		return false;
	r->next_layer = cpu_to_le32(next_layer);
	r->chunks = cpu_to_le64(chunks);
	return true;
}

static void encode_job(struct disk_job_record *disk,
		       const struct cowstack_job *job)
{
	disk->kind = job->kind;
	disk->state = job->state;
	disk->on_error = job->on_error;
	disk->flags = job->flags;
	disk->top = cpu_to_le32(from_layer_id(job->top));
	disk->base = cpu_to_le32(from_layer_id(job->base));
	disk->error = cpu_to_le32(job->error);
	disk->speed = cpu_to_le64(job->speed);
	disk->until = cpu_to_le64(job->until);
	disk->cursor = cpu_to_le64(job->cursor);
	disk->done = cpu_to_le64(job->done);
	disk->total = cpu_to_le64(job->total);
	disk->errors = cpu_to_le64(job->errors);
	disk->first_error = cpu_to_le64(job->first_error);
}

bool record_write_volume(struct record_writer *w,
			 const struct cowstack_volume_info *info,
			 layer_id_t top)
{
	struct disk_volume_record *r;

	r = begin_record(w, COWSTACK_RECORD_VOLUME, from_volume_id(info->id),
			 sizeof(*r));
	if (!r)
		return false;
	r->top = cpu_to_le32(from_layer_id(top));
	r->flags = cpu_to_le32(info->flags);
	r->sectors = cpu_to_le64(info->sectors);
	r->base_sectors = cpu_to_le64(info->base_sectors);
	r->base_seed = cpu_to_le64(info->base_seed);
	r->base_crc = cpu_to_le32(info->base_crc);
	r->mixed_top = cpu_to_le32(from_layer_id(info->mixed_top));
	r->base_time = cpu_to_le64(info->base_time);
	memcpy(r->name, info->name, sizeof(r->name));
	memcpy(r->base_name, info->base_name, sizeof(r->base_name));
	encode_job(&r->job, &info->job);
	return true;
}

static int decode_job(const struct disk_job_record *disk,
		      struct cowstack_job *job)
{
	job->kind = disk->kind;
	job->state = disk->state;
	job->on_error = disk->on_error;
	job->flags = disk->flags;
	job->top = to_layer_id(le32_to_cpu(disk->top));
	job->base = to_layer_id(le32_to_cpu(disk->base));
	job->error = le32_to_cpu(disk->error);
	job->speed = le64_to_cpu(disk->speed);
	job->until = le64_to_cpu(disk->until);
	job->cursor = le64_to_cpu(disk->cursor);
	job->done = le64_to_cpu(disk->done);
	job->total = le64_to_cpu(disk->total);
	job->errors = le64_to_cpu(disk->errors);
	job->first_error = le64_to_cpu(disk->first_error);
	if (disk->kind > COWSTACK_JOB_STREAM ||
	    disk->state > COWSTACK_JOB_CANCELLED || disk->on_error > 2 ||
	    disk->flags & ~COWSTACK_JOB_FLAGS || job->error > 4095)
		return -EUCLEAN;
	return 0;
}

static bool text_is_printable(const char *text)
{
	size_t i;

	for (i = 0; i < COWSTACK_NAME_SIZE && text[i]; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return i < COWSTACK_NAME_SIZE;
}

int record_read_volume(const struct disk_volume_record *disk,
		       struct cowstack_volume_info *info, layer_id_t *top)
{
	u32 id = le32_to_cpu(disk->header.id);

	memset(info, 0, sizeof(*info));
	info->id = to_volume_id(id);
	info->flags = le32_to_cpu(disk->flags);
	info->sectors = le64_to_cpu(disk->sectors);
	info->base_sectors = le64_to_cpu(disk->base_sectors);
	info->base_seed = le64_to_cpu(disk->base_seed);
	info->base_crc = le32_to_cpu(disk->base_crc);
	info->mixed_top = to_layer_id(le32_to_cpu(disk->mixed_top));
	info->base_time = le64_to_cpu(disk->base_time);
	memcpy(info->name, disk->name, sizeof(info->name));
	memcpy(info->base_name, disk->base_name, sizeof(info->base_name));
	*top = to_layer_id(le32_to_cpu(disk->top));

	if (id >> COWSTACK_VOLUME_ID_BITS || !info->sectors ||
	    info->sectors > COWSTACK_MAX_VOLUME_SECTORS ||
	    info->base_sectors > COWSTACK_MAX_VOLUME_SECTORS ||
	    info->flags & ~COWSTACK_VOLUME_FLAGS)
		return -EUCLEAN;
	if (!text_is_printable(info->name) ||
	    !text_is_printable(info->base_name) ||
	    (info->name[0] && !cowstack_name_is_valid(info->name)))
		return -EUCLEAN;
	return decode_job(&disk->job, &info->job);
}

bool record_write_volume_gone(struct record_writer *w, volume_id_t id)
{
	return begin_record(w, COWSTACK_RECORD_VOLUME_GONE, from_volume_id(id),
			    sizeof(struct disk_record));
}

bool record_write_layer(struct record_writer *w,
			const struct cowstack_layer *layer, layer_id_t parent,
			u32 flags, const char *name)
{
	struct disk_layer_record *r;

	r = begin_record(w, COWSTACK_RECORD_LAYER, from_layer_id(layer->id),
			 sizeof(*r));
	if (!r)
		return false;
	r->parent = cpu_to_le32(from_layer_id(parent));
	r->flags = cpu_to_le32(flags);
	r->created = cpu_to_le64(layer->created);
	memcpy(r->name, name, sizeof(r->name));
	return true;
}

bool record_write_layer_gone(struct record_writer *w, layer_id_t id)
{
	return begin_record(w, COWSTACK_RECORD_LAYER_GONE, from_layer_id(id),
			    sizeof(struct disk_record));
}

bool record_write_clean_gone(struct record_writer *w, layer_id_t id)
{
	return begin_record(w, COWSTACK_RECORD_CLEAN_GONE, from_layer_id(id),
			    sizeof(struct disk_record));
}

/* Does a word for @chunk of @layer follow the last one that was written? */
static bool follows(const struct record_writer *w, layer_id_t layer,
		    vchunk_t chunk)
{
	return w->run_layer == layer &&
	       from_vchunk(w->run_next) == from_vchunk(chunk);
}

static void note_word(struct record_writer *w, layer_id_t layer, vchunk_t chunk)
{
	w->run_layer = layer;
	w->run_next = to_vchunk(from_vchunk(chunk) + 1);
}

/* A word that says zeroes or nothing: such come in long runs. */
static bool write_alike(struct record_writer *w, layer_id_t layer,
			vchunk_t chunk, enum cowstack_record_type type)
{
	struct disk_run_record *r = w->run;

	if (r && follows(w, layer, chunk) &&
	    le16_to_cpu(r->header.type) == type) {
		r->count = cpu_to_le64(le64_to_cpu(r->count) + 1);
	} else {
		r = begin_record(w, type, from_layer_id(layer), sizeof(*r));
		if (!r)
			return false;
		r->first = cpu_to_le64(from_vchunk(chunk));
		r->count = cpu_to_le64(1);
		w->run = r;
	}
	note_word(w, layer, chunk);
	return true;
}

/* Goes on with the open run of words where the last word's chunk was before. */
static bool extend_words(struct record_writer *w, layer_id_t layer,
			 vchunk_t chunk, __le64 word)
{
	struct disk_words_record *r = w->words;
	u16 bytes;
	__le64 *place;

	if (!r || !follows(w, layer, chunk) ||
	    w->used[w->count - 1] + sizeof(word) > RECORD_ROOM)
		return false;
	place = reserve(w, sizeof(word));
	*place = word;
	bytes = le16_to_cpu(r->header.bytes) + sizeof(word);
	r->header.bytes = cpu_to_le16(bytes);
	note_word(w, layer, chunk);
	return true;
}

bool record_write_word(struct record_writer *w, layer_id_t layer,
		       vchunk_t chunk, map_word_t word)
{
	map_word_t durable = map_word_durable(word);
	__le64 disk = cpu_to_le64(map_word_raw(durable));
	struct disk_words_record *r;

	if (durable == MAP_WORD_NONE)
		return write_alike(w, layer, chunk, COWSTACK_RECORD_CLEAR);
	if (durable == map_word_zeroes())
		return write_alike(w, layer, chunk, COWSTACK_RECORD_ZERO);
	if (extend_words(w, layer, chunk, disk))
		return true;
	r = begin_record(w, COWSTACK_RECORD_WORDS, from_layer_id(layer),
			 sizeof(*r) + sizeof(disk));
	if (!r)
		return false;
	r->first = cpu_to_le64(from_vchunk(chunk));
	r->words[0] = disk;
	w->words = r;
	note_word(w, layer, chunk);
	return true;
}

bool record_write_clear(struct record_writer *w, layer_id_t layer,
			vchunk_t first, u64 count)
{
	struct disk_run_record *r;

	r = begin_record(w, COWSTACK_RECORD_CLEAR, from_layer_id(layer),
			 sizeof(*r));
	if (!r)
		return false;
	r->first = cpu_to_le64(from_vchunk(first));
	r->count = cpu_to_le64(count);
	return true;
}

bool record_write_page(struct record_writer *w, layer_id_t layer, u64 page,
		       mblock_t block, u32 crc)
{
	struct disk_page_record *r;

	r = begin_record(w, COWSTACK_RECORD_PAGE, from_layer_id(layer),
			 sizeof(*r));
	if (!r)
		return false;
	r->page = cpu_to_le64(page);
	r->block = cpu_to_le64(from_mblock(block));
	r->crc = cpu_to_le32(crc);
	return true;
}
