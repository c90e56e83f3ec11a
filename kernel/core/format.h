/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store on its device: format version 1.
 *
 * Little-endian, fixed sizes, reserved bytes zero when written.  Sizes and
 * offsets are asserted in format.c; Documentation/on-disk-format has the tables.
 *
 *   block 0        superblock A          block 16   superblock B
 *   block 32 …     journal ring          data_start … chunks of data and of
 *                                        metadata blocks (map pages, index)
 *
 * A block is 4 KiB.  Whatever is read is hostile until cowstack_format_* has
 * checked it, and numbers are checked again where they are used: a CRC proves
 * nothing about intent.
 */
#ifndef COWSTACK_CORE_FORMAT_H
#define COWSTACK_CORE_FORMAT_H

#include "types.h"

#define COWSTACK_FORMAT_VERSION 1

#define COWSTACK_MAGIC_SUPERBLOCK 0x53777743U	/* "CwwS" */
#define COWSTACK_MAGIC_STEP 0x4a777743U		/* "CwwJ" */
#define COWSTACK_MAGIC_INDEX 0x49777743U	/* "CwwI" */

enum {
	COWSTACK_SUPERBLOCK_A = 0,	/* block numbers */
	COWSTACK_SUPERBLOCK_B = 16,
	COWSTACK_RING_START = 32,
	COWSTACK_MIN_METADATA_BLOCKS = 256,	/* 1 MiB */
	COWSTACK_MAX_RING_BLOCKS = 8192,	/* 32 MiB */
	COWSTACK_MIN_CHUNKS = 16,
	COWSTACK_MAX_STEP_BLOCKS = 256,
};

/*
 * Feature bits.  Unknown compatible ones are kept and ignored, with an unknown
 * read-only-compatible one a store may be looked at but not attached for
 * writing, with an unknown incompatible one it is refused.  None exists yet.
 */
#define COWSTACK_FEATURES_COMPAT 0ULL
#define COWSTACK_FEATURES_RO_COMPAT 0ULL
#define COWSTACK_FEATURES_INCOMPAT 0ULL

/* In front of every block of ours but map pages, whose parent vouches for them. */
struct disk_block_header {
	__le32 magic;
	__le32 crc;		/* of the used bytes, this field as zero */
	u8 uuid[COWSTACK_UUID_SIZE];
	__le64 place;		/* own block number */
	__le64 sequence;	/* of the step, the checkpoint, the superblock */
	__le64 nonce;		/* drawn at each load; steps only */
};

struct disk_superblock {
	struct disk_block_header header;
	__le32 version;
	__le32 chunk_sectors;
	__le64 compat;
	__le64 ro_compat;
	__le64 incompat;
	__le64 ring_start;	/* block */
	__le64 ring_blocks;
	__le64 data_start;	/* sector */
	__le64 chunks;		/* as of the checkpoint */
	__le64 tail_step;	/* first step to replay */
	__le64 tail_position;	/* its place: blocks written since format */
	__le64 index_first;	/* block; 0: nothing checkpointed yet */
	__le64 index_blocks;
	__le64 created;		/* seconds since 1970 */
	u8 name[COWSTACK_NAME_SIZE];
	u8 reserved[3880];
};

/* A block of a step, and a block of the index: records behind one header. */
struct disk_record_block {
	struct disk_block_header header;
	__le32 used;		/* bytes of records */
	__le32 number;		/* of this block in its step; 0 in the index */
	union {
		struct {
			__le32 step_blocks;
			__le32 step_crc; /* over the records of all blocks */
		};
		__le64 next;	/* index: the next block, 0 after the last */
	};
	u8 records[4032];
};

/*
 * Records.  The same encoding in steps and in the index.  A record says how
 * things are, never how they change, so replaying one twice does no harm.
 */
enum cowstack_record_type {
	COWSTACK_RECORD_STORE = 1,
	COWSTACK_RECORD_VOLUME = 2,
	COWSTACK_RECORD_VOLUME_GONE = 3,
	COWSTACK_RECORD_LAYER = 4,
	COWSTACK_RECORD_LAYER_GONE = 5,
	COWSTACK_RECORD_WORDS = 6,	/* words of successive chunks */
	COWSTACK_RECORD_CLEAR = 7,	/* a run of chunks now unknown */
	COWSTACK_RECORD_ZERO = 8,	/* a run of chunks now zeroes */
	COWSTACK_RECORD_PAGE = 9,	/* index only: where a map page lies */
	COWSTACK_RECORD_CLEAN_GONE = 10, /* a layer's clean words so far */
};

struct disk_record {
	__le16 type;
	__le16 bytes;		/* of the record with this header, ×8 */
	__le32 id;		/* the volume or layer it speaks of, or 0 */
};

struct disk_store_record {
	struct disk_record header;
	__le32 next_layer;	/* lowest layer id never used */
	__le32 reserved;
	__le64 chunks;
};

struct disk_words_record {
	struct disk_record header;
	__le64 first;		/* chunk of the volume */
	__le64 words[];
};

struct disk_run_record {
	struct disk_record header;
	__le64 first;
	__le64 count;
};

struct disk_page_record {
	struct disk_record header;
	__le64 page;		/* first chunk / 512 */
	__le64 block;		/* 4 KiB of words, nothing else */
	__le32 crc;
	__le32 reserved;
};

struct disk_layer_record {
	struct disk_record header;
	__le32 parent;		/* layer id, 0: the base */
	__le32 flags;
	__le64 created;		/* seconds since 1970 */
	__le64 reserved;
	u8 name[COWSTACK_NAME_SIZE];
};

#define COWSTACK_LAYER_FROZEN 1u
#define COWSTACK_LAYER_PINNED 2u
/*
 * A commit from above into this layer or one below it has begun and not ended:
 * what it shows by itself is no point in time.
 */
#define COWSTACK_LAYER_MIXED 4u
#define COWSTACK_LAYER_FLAGS 7u

struct disk_job_record {
	u8 kind;
	u8 state;
	u8 on_error;
	u8 flags;
	__le32 top;
	__le32 base;
	__le32 error;		/* errno of the first error */
	__le64 speed;		/* bytes per second, 0: unlimited */
	__le64 until;		/* seconds since 1970, 0: no end */
	__le64 cursor;		/* chunks below it are done */
	__le64 done;		/* chunks */
	__le64 total;
	__le64 errors;
	__le64 first_error;	/* sector of the volume */
	__le64 reserved;
};

struct disk_volume_record {
	struct disk_record header;
	__le32 top;		/* layer id */
	__le32 flags;
	__le64 sectors;
	__le64 base_sectors;
	__le64 base_seed;	/* where the sample's own places lie */
	__le32 base_crc;
	__le32 mixed_top;	/* highest top of an unfinished commit, 0: none */
	__le64 base_time;	/* end of the last whole commit, 0: never */
	u8 name[COWSTACK_NAME_SIZE];
	u8 base_name[COWSTACK_NAME_SIZE];	/* as last seen, for people */
	struct disk_job_record job;
	u8 reserved[64];
};

#define COWSTACK_VOLUME_BASE_RECORDED 1u
#define COWSTACK_VOLUME_FLAGS 1u

enum cowstack_job_kind {
	COWSTACK_JOB_NONE = 0,
	COWSTACK_JOB_COMMIT = 1,
	COWSTACK_JOB_STREAM = 2,
};

enum cowstack_job_state {
	COWSTACK_JOB_IDLE = 0,
	COWSTACK_JOB_QUEUED = 1,
	COWSTACK_JOB_RUNNING = 2,
	COWSTACK_JOB_PAUSED = 3,
	COWSTACK_JOB_STOPPED = 4,
	COWSTACK_JOB_COMPLETED = 5,
	COWSTACK_JOB_CANCELLED = 6,
};

enum cowstack_on_error {
	COWSTACK_ON_ERROR_STOP = 0,
	COWSTACK_ON_ERROR_REPORT = 1,
	COWSTACK_ON_ERROR_IGNORE = 2,
};

#define COWSTACK_JOB_YIELD 1u
#define COWSTACK_JOB_RETAIN 2u
#define COWSTACK_JOB_VERIFY 4u
#define COWSTACK_JOB_WITH_BASE 8u	/* a stream that takes the base too */
#define COWSTACK_JOB_FLAGS 15u

/* What memory holds of a superblock. */
struct cowstack_superblock {
	u8 uuid[COWSTACK_UUID_SIZE];
	char name[COWSTACK_NAME_SIZE];
	u64 sequence;
	u64 compat;
	u64 ro_compat;
	u64 incompat;
	u64 created;
	u64 tail_step;
	u64 tail_position;
	mblock_t index_first;
	u64 index_blocks;
	struct cowstack_geometry geometry;
};

/**
 * cowstack_geometry_init() - cut a device up, as format does.
 * @g: filled
 * @device_sectors: size of the device
 * @chunk_sectors: power of two, 8 … 2048
 *
 * Return: 0, -EINVAL for a chunk size out of range, -ENOSPC for a device that
 * is too small, -EFBIG for one with more chunks than a map word can name.
 */
int cowstack_geometry_init(struct cowstack_geometry *g, u64 device_sectors,
			   u32 chunk_sectors);

/* Chunks that a device of @device_sectors has room for behind @g's metadata. */
u64 cowstack_geometry_chunks(const struct cowstack_geometry *g,
			     u64 device_sectors);

/**
 * cowstack_superblock_encode() - write @sb into @block for place @place.
 */
void cowstack_superblock_encode(const struct cowstack_superblock *sb,
				u64 place, struct disk_superblock *block);

/**
 * cowstack_superblock_decode() - check a superblock and take it over.
 * @sb: filled, only on success
 * @block: a private copy of what was read at block @place
 * @device_sectors: size of the device it was read from
 * @why: set to a sentence for people on failure
 *
 * Return: 0; -EINVAL: nothing of ours (no magic); -EUCLEAN: damaged;
 * -EOPNOTSUPP: a version or an incompatible feature that is not known here.
 */
int cowstack_superblock_decode(struct cowstack_superblock *sb,
			       const struct disk_superblock *block, u64 place,
			       u64 device_sectors, const char **why);

/* CRC of a header block: @used bytes from its start, the crc field as zero. */
u32 cowstack_block_crc(const void *block, size_t used);

/* Is @name a name: 1 … 63 bytes of [A-Za-z0-9._+-], not starting with "-"? */
bool cowstack_name_is_valid(const char *name);

/* Copies a valid name (or NULL: none) into a field, the rest as zeroes. */
void cowstack_name_copy(char field[COWSTACK_NAME_SIZE], const char *name);

/**
 * cowstack_word_decode() - check a word read from disk.
 *
 * Return: 0, or -EUCLEAN for reserved bits, a mask that the chunk size does not
 * have, a chunk out of range, or a spelling that no writer of ours uses.
 */
int cowstack_word_decode(const struct cowstack_geometry *g, u64 raw,
			 map_word_t *word);

#endif /* COWSTACK_CORE_FORMAT_H */
