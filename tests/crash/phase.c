// SPDX-License-Identifier: GPL-2.0
#include "phase.h"
#include "oracle.h"

static struct cowstack_geometry geometry;
static struct cowstack_geometry lower_geometry;
static bool has_lower;
static bool recovering;

const char *phase_name(enum phase phase)
{
	static const char * const names[PHASES] = {
		[PHASE_WORK] = "work", [PHASE_SNAPSHOT] = "snapshot",
		[PHASE_GATHER] = "gather", [PHASE_WRITE] = "write",
		[PHASE_FLUSH] = "flush", [PHASE_LET_GO] = "let-go",
		[PHASE_FINISH] = "finish", [PHASE_GIVE_BACK] = "give-back",
		[PHASE_CHECKPOINT] = "checkpoint",
		[PHASE_RECOVERY] = "recovery",
		[PHASE_MASTER_WRITE] = "master-write",
		[PHASE_MASTER_FLUSH] = "master-flush",
	};

	return names[phase];
}

enum phase phase_find(const char *name)
{
	enum phase phase = PHASE_WORK;

	while (phase < PHASES && strcmp(name, phase_name(phase)))
		phase++;
	return phase;
}

void phase_set_geometry(const struct cowstack_geometry *g)
{
	geometry = *g;
}

void phase_set_lower_geometry(const struct cowstack_geometry *g)
{
	lower_geometry = *g;
	has_lower = true;
}

enum phase phase_count(void)
{
	return has_lower ? PHASES : PHASES_OF_ONE_LEVEL;
}

void phase_set_recovering(bool now)
{
	WRITE_ONCE(recovering, now);
}

struct step_content {
	bool volume, layer, layer_gone, clear;
};

static void look_at_block(const struct disk_record_block *block,
			  struct step_content *found)
{
	const u8 *p = block->records;
	u32 used = le32_to_cpu(block->used);
	const u8 *end = p + min_t(u32, used, sizeof(block->records));

	while (p + sizeof(struct disk_record) <= end) {
		const struct disk_record *record = (const void *)p;
		u32 bytes = le16_to_cpu(record->bytes);

		switch (le16_to_cpu(record->type)) {
		case COWSTACK_RECORD_VOLUME:
			found->volume = true;
			break;
		case COWSTACK_RECORD_LAYER:
			found->layer = true;
			break;
		case COWSTACK_RECORD_LAYER_GONE:
			found->layer_gone = true;
			break;
		case COWSTACK_RECORD_CLEAR:
			found->clear = true;
			break;
		}
		if (bytes < sizeof(*record))
			return;
		p += bytes;
	}
}

static enum phase phase_of_step(const struct disk_request *r)
{
	struct step_content found = { };
	u64 i;

	for (i = 0; i + COWSTACK_BLOCK_SECTORS <= r->sectors;
	     i += COWSTACK_BLOCK_SECTORS)
		look_at_block((const void *)(r->data + i * DISK_SECTOR),
			      &found);
	if (found.layer_gone)
		return PHASE_FINISH;
	if (found.layer)
		return PHASE_SNAPSHOT;
	return found.clear && found.volume ? PHASE_LET_GO : PHASE_WORK;
}

static bool is_user_data(const struct disk_request *r)
{
	static const u8 zeroes[DISK_SECTOR];
	u64 i;

	for (i = 0; i < r->sectors; i++) {
		const u8 *sector = r->data + i * DISK_SECTOR;

		if (pattern_is_one(sector) ||
		    !memcmp(sector, zeroes, DISK_SECTOR))
			return true;
	}
	return false;
}

static enum phase phase_on_store(const struct disk_request *r)
{
	u64 block = r->sector / COWSTACK_BLOCK_SECTORS;
	u64 ring = from_mblock(geometry.ring_start);

	/* What a worker reads to complete a sixteenth is no longer than one. */
	if (r->op == DISK_READ)
		return r->sectors > 1ULL << geometry.piece_shift ?
			       PHASE_GATHER : PHASE_WORK;
	if (r->op != DISK_WRITE)
		return r->op == DISK_DISCARD ? PHASE_GIVE_BACK : PHASE_WORK;
	if (block < ring)
		return PHASE_CHECKPOINT;
	if (block < ring + geometry.ring_blocks)
		return phase_of_step(r);
	return is_user_data(r) ? PHASE_WORK : PHASE_CHECKPOINT;
}

/* What an upper commit's flush becomes in a lower store: a step of its own. */
static enum phase phase_on_lower_store(const struct disk_request *r)
{
	u64 block = r->sector / COWSTACK_BLOCK_SECTORS;
	u64 ring = from_mblock(lower_geometry.ring_start);

	if (r->op == DISK_FLUSH)
		return PHASE_FLUSH;
	if (r->op != DISK_WRITE)
		return r->op == DISK_DISCARD ? PHASE_GIVE_BACK : PHASE_WORK;
	if (block >= ring && block < ring + lower_geometry.ring_blocks)
		return PHASE_FLUSH;
	return block >= ring && is_user_data(r) ? PHASE_WRITE :
						  PHASE_CHECKPOINT;
}

static enum phase phase_on_master(const struct disk_request *r)
{
	if (r->op == DISK_READ)
		return PHASE_WORK;
	return r->op == DISK_FLUSH ? PHASE_MASTER_FLUSH : PHASE_MASTER_WRITE;
}

enum phase phase_of(const struct disk_request *r)
{
	if (READ_ONCE(recovering))
		return PHASE_RECOVERY;
	if (!r->disk->number)
		return phase_on_store(r);
	if (has_lower)
		return r->disk->number == 1 ? phase_on_lower_store(r) :
					      phase_on_master(r);
	switch (r->op) {
	case DISK_READ:
		return PHASE_WORK;
	case DISK_FLUSH:
		return PHASE_FLUSH;
	default:
		return PHASE_WRITE;
	}
}

bool phase_is_metadata(const struct disk_request *r)
{
	const struct cowstack_geometry *g =
		r->disk->number ? &lower_geometry : &geometry;

	if (r->op != DISK_WRITE ||
	    (r->disk->number && (r->disk->number != 1 || !has_lower)))
		return false;
	return r->sector / COWSTACK_BLOCK_SECTORS <
		       from_mblock(g->ring_start) + g->ring_blocks ||
	       !is_user_data(r);
}
