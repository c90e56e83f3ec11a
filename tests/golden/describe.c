// SPDX-License-Identifier: GPL-2.0
/*
 * usage: describe STORE [BASE]
 *
 * All that core finds in a store that is a file, as text: each field of each
 * record, each word, and a checksum of what each volume shows over BASE.  It must
 * be the same text on every machine, whatever its byte order.
 */
#include <stdio.h>

#include "chain.h"
#include "load.h"
#include "store_bytes.h"

enum { PIECE = 1024 };		/* sectors that are read at once */

static unsigned long long llu(u64 n)
{
	return n;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "describe: %s: %s\n", what, why);
	exit(1);
}

/* --- the store as it lies there --- */

static void describe_superblock(const struct cowstack_metadata *md)
{
	const struct cowstack_superblock *sb = &md->superblock;
	const struct cowstack_geometry *g = &sb->geometry;
	int i;

	printf("store %s uuid ", sb->name);
	for (i = 0; i < COWSTACK_UUID_SIZE; i++)
		printf("%02x", sb->uuid[i]);
	printf(" sequence %llu created %llu\n", llu(sb->sequence),
	       llu(sb->created));
	printf("features compat %llx ro_compat %llx incompat %llx\n",
	       llu(sb->compat), llu(sb->ro_compat), llu(sb->incompat));
	printf("chunk %u sectors, ring %llu+%llu, data from %llu, %llu chunks\n",
	       g->chunk_sectors, llu(from_mblock(g->ring_start)),
	       llu(g->ring_blocks), llu(g->data_start), llu(g->chunks));
	printf("tail step %llu at %llu, index %llu+%llu\n", llu(sb->tail_step),
	       llu(sb->tail_position), llu(from_mblock(sb->index_first)),
	       llu(sb->index_blocks));
}

static void describe_load(const struct cowstack_metadata *md,
			  const struct cowstack_load_report *report)
{
	printf("%llu steps to replay, head at %llu, next layer %u\n",
	       llu(report->steps), llu(md->head), md->next_layer);
	printf("%llu words in %llu pages, %llu chunks free, other superblock %s\n",
	       llu(report->words), llu(report->pages), llu(md->allocator.free),
	       report->other_superblock ? "bad or old" : "good");
}

static void describe_records(const char *where, struct record_counts *counts)
{
	int type;

	printf("%s: %llu blocks;", where, llu(counts->blocks));
	for (type = 1; type < RECORD_TYPES; type++)
		if (counts->of[type])
			printf(" %s %llu", record_type_name[type],
			       llu(counts->of[type]));
	printf("\n");
}

static void count_all_records(struct store_bytes *s,
			      const struct cowstack_metadata *md)
{
	struct record_counts counts = { };
	u64 i;

	for (i = 0; i < md->index_count; i++)
		bytes_count_records(s, from_mblock(md->index[i]), &counts);
	describe_records("index", &counts);
	memset(&counts, 0, sizeof(counts));
	for (i = md->tail; i < md->head; i++)
		bytes_count_records(s, bytes_ring_block(s, i), &counts);
	describe_records("journal", &counts);
}

/* --- what it amounts to --- */

/* Does @word go on where @before, of the chunk in front, leaves off? */
static bool continues(map_word_t before, map_word_t word)
{
	u64 step = map_word_has_chunk(before) ? BIT_ULL(MAP_WORD_CHUNK_SHIFT) : 0;

	return map_word_raw(word) == map_word_raw(before) + step;
}

static void describe_run(u64 first, u64 count, map_word_t word)
{
	printf("  %llu+%llu", llu(first), llu(count));
	if (map_word_has_chunk(word))
		printf(" at %llu mask %04x", llu(from_dchunk(map_word_chunk(word))),
		       map_word_mask(word));
	printf("%s%s\n", map_word_is_zero(word) ? " zero" : "",
	       map_word_is_clean(word) ? " clean" : "");
}

static void describe_words(const struct cowstack_layer *layer)
{
	map_word_t begin = MAP_WORD_NONE, last = MAP_WORD_NONE;
	u64 first = 0, chunk = 0, number;
	struct map_page *page;
	u32 slot;

	for (number = 0; (page = sparse_table_next(&layer->map.pages, &number));
	     number++) {
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			u64 at = number * COWSTACK_PAGE_CHUNKS + slot;
			map_word_t word = page->words[slot];

			if (begin != MAP_WORD_NONE &&
			    (at != chunk || !continues(last, word))) {
				describe_run(first, chunk - first, begin);
				begin = MAP_WORD_NONE;
			}
			if (word == MAP_WORD_NONE)
				continue;
			if (begin == MAP_WORD_NONE) {
				first = at;
				begin = word;
			}
			last = word;
			chunk = at + 1;
		}
	}
	if (begin != MAP_WORD_NONE)
		describe_run(first, chunk - first, begin);
}

static void describe_layer(const struct cowstack_layer *layer)
{
	printf("layer %u on %u flags %u created %llu name '%s' used %llu clean %llu\n",
	       from_layer_id(layer->id), from_layer_id(layer->parent_id),
	       layer->flags, llu(layer->created), layer->name,
	       llu(atomic64_read(&layer->map.used)),
	       llu(atomic64_read(&layer->map.clean)));
	describe_words(layer);
}

static void describe_job(const struct cowstack_job *job)
{
	printf("  job kind %u state %u on_error %u flags %u top %u base %u error %u\n",
	       job->kind, job->state, job->on_error, job->flags,
	       from_layer_id(job->top), from_layer_id(job->base), job->error);
	printf("  job speed %llu until %llu cursor %llu done %llu/%llu errors %llu first %llu\n",
	       llu(job->speed), llu(job->until), llu(job->cursor),
	       llu(job->done), llu(job->total), llu(job->errors),
	       llu(job->first_error));
}

static void read_extent(struct store_bytes *store, struct store_bytes *base,
			const struct cowstack_extent *e, u64 sector, u8 *buffer)
{
	struct store_bytes *from = e->kind == COWSTACK_EXTENT_DATA ? store : base;
	u64 place = e->kind == COWSTACK_EXTENT_DATA ? e->place : sector;
	u64 count = 0;

	memset(buffer, 0, e->sectors * 512);
	if (e->kind != COWSTACK_EXTENT_ZERO && place < from->sectors)
		count = min(e->sectors, from->sectors - place);
	if (count)
		memcpy(buffer, from->bytes + place * 512, count * 512);
}

static void describe_content(struct store_bytes *store, struct store_bytes *base,
			     struct cowstack_metadata *md,
			     struct cowstack_volume *volume)
{
	static u8 buffer[PIECE * 512];
	u64 sector = 0, size = volume->info.sectors;
	struct cowstack_extent e;
	u32 crc = 0;

	if (cowstack_volume_bring_up(md, volume))
		die("memory", "there is none");
	while (sector < size) {
		cowstack_chain_resolve(cowstack_geometry(md), volume,
				       cowstack_volume_chain(volume), sector,
				       min_t(u64, size - sector, PIECE), &e);
		read_extent(store, base, &e, sector, buffer);
		crc = environment_crc32(crc, buffer, e.sectors * 512);
		sector += e.sectors;
	}
	cowstack_volume_take_down(volume);
	printf("  content %u\n", crc);
}

static void describe_volume(const struct cowstack_volume *volume)
{
	const struct cowstack_volume_info *info = &volume->info;

	printf("volume %u name '%s' top %u flags %u sectors %llu\n",
	       from_volume_id(info->id), info->name,
	       from_layer_id(volume->top_id), info->flags, llu(info->sectors));
	printf("  base '%s' sectors %llu seed %llx crc %08x mixed %u time %llu\n",
	       info->base_name, llu(info->base_sectors), llu(info->base_seed),
	       info->base_crc, from_layer_id(info->mixed_top),
	       llu(info->base_time));
	describe_job(&info->job);
}

int main(int argc, char **argv)
{
	struct store_bytes store, base = { };
	struct cowstack_load_report report;
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;
	struct cowstack_metadata md;

	if (argc < 2 || argc > 3)
		die("usage", "describe STORE [BASE]");
	bytes_read(&store, argv[1]);
	if (argc > 2)
		bytes_read(&base, argv[2]);
	if (cowstack_load(&md, &store.reader, &report)) {
		printf("block %llu: %s\n", llu(report.where), report.why);
		return 5;
	}
	describe_superblock(&md);
	describe_load(&md, &report);
	count_all_records(&store, &md);
	list_for_each_entry(layer, &md.layers, list)
		describe_layer(layer);
	list_for_each_entry(volume, &md.volumes, list) {
		describe_volume(volume);
		describe_content(&store, &base, &md, volume);
	}
	cowstack_metadata_exit(&md);
	bytes_free(&base);
	bytes_free(&store);
	return 0;
}
