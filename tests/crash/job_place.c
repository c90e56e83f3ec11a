// SPDX-License-Identifier: GPL-2.0
#include "job_place.h"
#include "oracle.h"

static const struct job_place nowhere = { JOB_KINDS, STAGES };

static struct {
	struct cowstack_geometry geometry;
	bool recovering;
	/* Of each volume, as its last record says. */
	enum job_kind running[VOLUMES];
	u8 state[VOLUMES];
	u64 cursor[VOLUMES];
} places;

static const char *const kind_names[JOB_KINDS] = {
	[JOB_COMMIT] = "commit", [JOB_LAYER] = "layer",
	[JOB_RETAIN] = "retain", [JOB_STREAM] = "stream",
	[JOB_STREAM_TOP] = "stream-top", [JOB_STREAM_BASE] = "stream-base",
};

static const char *const stage_names[STAGES] = {
	[STAGE_BEGIN] = "begin", [STAGE_CONTROL] = "control",
	[STAGE_GATHER] = "gather", [STAGE_WRITE] = "write",
	[STAGE_FLUSH] = "flush", [STAGE_LET_GO] = "let-go",
	[STAGE_END] = "end", [STAGE_EMPTY] = "empty",
	[STAGE_RECOVERY] = "recovery",
};

const char *job_kind_name(enum job_kind kind)
{
	return kind_names[kind];
}

const char *job_stage_name(enum job_stage stage)
{
	return stage_names[stage];
}

bool job_place_exists(enum job_kind kind, enum job_stage stage)
{
	if (stage == STAGE_FLUSH)
		return kind == JOB_COMMIT || kind == JOB_RETAIN;
	return stage != STAGE_EMPTY || kind == JOB_RETAIN;
}

bool job_place_find(const char *name, struct job_place *place)
{
	const char *slash = strchr(name, '/');
	unsigned int kind = 0, stage = 0;

	if (!slash)
		return false;
	while (kind < JOB_KINDS &&
	       (strlen(kind_names[kind]) != slash - name ||
		strncmp(name, kind_names[kind], slash - name)))
		kind++;
	while (stage < STAGES && strcmp(slash + 1, stage_names[stage]))
		stage++;
	place->kind = kind;
	place->stage = stage;
	return kind < JOB_KINDS && stage < STAGES &&
	       job_place_exists(kind, stage);
}

void job_place_set_geometry(const struct cowstack_geometry *geometry)
{
	unsigned int v;

	places.geometry = *geometry;
	for (v = 0; v < VOLUMES; v++) {
		places.running[v] = JOB_KINDS;
		places.state[v] = COWSTACK_JOB_IDLE;
		places.cursor[v] = 0;
	}
}

void job_place_set_running(unsigned int volume, enum job_kind kind)
{
	WRITE_ONCE(places.running[volume], kind);
}

bool job_place_is_running(enum job_kind kind)
{
	unsigned int v;

	for (v = 0; v < VOLUMES; v++)
		if (READ_ONCE(places.running[v]) == kind)
			return true;
	return false;
}

void job_place_set_recovering(bool recovering)
{
	WRITE_ONCE(places.recovering, recovering);
}

/* --- steps --- */

struct step_content {
	const struct disk_volume_record *volume;
	bool new_layer;
	bool emptied;			/* a layer, of all that it held */
};

static bool is_volume_of_ours(const struct disk_record *record)
{
	u32 id = le32_to_cpu(record->id);

	return id && id <= VOLUMES;
}

static void look_at_record(const struct disk_record *record,
			   struct step_content *found)
{
	const struct disk_layer_record *layer = (const void *)record;
	const struct disk_run_record *run = (const void *)record;

	switch (le16_to_cpu(record->type)) {
	case COWSTACK_RECORD_VOLUME:
		if (is_volume_of_ours(record))
			found->volume = (const void *)record;
		break;
	case COWSTACK_RECORD_LAYER:
		if (!(le32_to_cpu(layer->flags) & COWSTACK_LAYER_FROZEN))
			found->new_layer = true;
		break;
	case COWSTACK_RECORD_CLEAR:
		if (!run->first && le64_to_cpu(run->count) >=
				   VOLUME_SECTORS / places.geometry.chunk_sectors)
			found->emptied = true;
		break;
	}
}

static void look_at_block(const struct disk_record_block *block,
			  struct step_content *found)
{
	const u8 *p = block->records;
	u32 used = le32_to_cpu(block->used);
	const u8 *end = p + min_t(u32, used, sizeof(block->records));

	while (p + sizeof(struct disk_record) <= end) {
		const struct disk_record *record = (const void *)p;

		look_at_record(record, found);
		if (le16_to_cpu(record->bytes) < sizeof(*record))
			return;
		p += le16_to_cpu(record->bytes);
	}
}

static enum job_kind kind_of_record(const struct disk_volume_record *volume)
{
	const struct disk_job_record *job = &volume->job;

	if (job->kind == COWSTACK_JOB_COMMIT && job->base)
		return JOB_LAYER;
	if (job->kind == COWSTACK_JOB_COMMIT)
		return job->flags & COWSTACK_JOB_RETAIN ? JOB_RETAIN :
							  JOB_COMMIT;
	if (job->kind != COWSTACK_JOB_STREAM)
		return JOB_KINDS;
	if (job->flags & COWSTACK_JOB_WITH_BASE)
		return JOB_STREAM_BASE;
	return job->top == volume->top ? JOB_STREAM_TOP : JOB_STREAM;
}

static enum job_stage stage_of_record(const struct disk_job_record *job,
				      u8 before, u64 cursor_before,
				      bool new_layer)
{
	u64 cursor = le64_to_cpu(job->cursor);

	if (job->state == COWSTACK_JOB_COMPLETED)
		return before == COWSTACK_JOB_RUNNING ? STAGE_END : STAGES;
	if (job->state != COWSTACK_JOB_RUNNING)
		return before == job->state ? STAGES : STAGE_CONTROL;
	if (before == COWSTACK_JOB_PAUSED)
		return STAGE_CONTROL;
	if (before != COWSTACK_JOB_RUNNING)
		return STAGE_BEGIN;
	if (new_layer)
		return STAGES;		/* a snapshot meanwhile */
	return cursor && cursor != cursor_before ? STAGE_LET_GO : STAGE_BEGIN;
}

static struct job_place place_of_step(const struct disk_request *r)
{
	struct step_content found = { };
	struct job_place place = nowhere;
	unsigned int v;
	u64 i;

	for (i = 0; i + COWSTACK_BLOCK_SECTORS <= r->sectors;
	     i += COWSTACK_BLOCK_SECTORS)
		look_at_block((const void *)(r->data + i * DISK_SECTOR),
			      &found);
	/* What is let go of has its job's record with it. */
	if (!found.volume && found.emptied)
		return (struct job_place){ JOB_RETAIN, STAGE_EMPTY };
	if (!found.volume)
		return nowhere;
	v = le32_to_cpu(found.volume->header.id) - 1;
	place.kind = kind_of_record(found.volume);
	if (place.kind == JOB_KINDS)
		return nowhere;
	place.stage = stage_of_record(&found.volume->job, places.state[v],
				      places.cursor[v], found.new_layer);
	places.state[v] = found.volume->job.state;
	places.cursor[v] = le64_to_cpu(found.volume->job.cursor);
	WRITE_ONCE(places.running[v],
		   places.state[v] == COWSTACK_JOB_RUNNING ? place.kind :
							     JOB_KINDS);
	return place.stage == STAGES ? nowhere : place;
}

/* --- the rest --- */

/* Of what runs, that which is looked for, or any. */
static enum job_kind running_kind(enum job_kind wanted)
{
	enum job_kind kind = JOB_KINDS;
	unsigned int v;

	for (v = 0; v < VOLUMES; v++) {
		enum job_kind running = READ_ONCE(places.running[v]);

		if (kind == JOB_KINDS || running == wanted)
			kind = running;
	}
	return kind;
}

static struct job_place place_if(enum job_kind kind, enum job_stage stage)
{
	struct job_place place = { kind, stage };

	if (kind == JOB_KINDS || !job_place_exists(kind, stage))
		return nowhere;
	return place;
}

/* Users write versions that are in flight, jobs those that were there before. */
static bool copies_versions(const struct disk_request *r)
{
	bool some = false;
	u64 i;

	for (i = 0; i < r->sectors; i++) {
		const void *sector = r->data + i * DISK_SECTOR;

		if (!pattern_is_one(sector))
			continue;
		if (oracle_is_in_flight(pattern_version(sector)))
			return false;
		some = true;
	}
	return some;
}

static bool writes_to_store(enum job_kind kind)
{
	return kind == JOB_LAYER || kind == JOB_STREAM ||
	       kind == JOB_STREAM_TOP || kind == JOB_STREAM_BASE;
}

/* What a worker reads to complete a sixteenth is no longer than one. */
static bool is_long(const struct disk_request *r)
{
	return r->sectors > 1ULL << places.geometry.piece_shift;
}

static struct job_place place_on_store(const struct disk_request *r,
				       enum job_kind wanted)
{
	u64 block = r->sector / COWSTACK_BLOCK_SECTORS;
	u64 ring = from_mblock(places.geometry.ring_start);
	enum job_kind kind = running_kind(wanted);

	if (r->op == DISK_READ)
		return is_long(r) ? place_if(kind, STAGE_GATHER) : nowhere;
	if (r->op != DISK_WRITE || block < ring)
		return nowhere;
	if (block < ring + places.geometry.ring_blocks)
		return place_of_step(r);
	return writes_to_store(kind) && copies_versions(r) ?
		       place_if(kind, STAGE_WRITE) : nowhere;
}

static struct job_place place_on_base(const struct disk_request *r)
{
	enum job_kind kind = READ_ONCE(places.running[r->disk->number - 1]);

	if (r->op == DISK_READ)
		return kind == JOB_STREAM_BASE && is_long(r) ?
			       place_if(kind, STAGE_GATHER) : nowhere;
	if (r->op == DISK_FLUSH)
		return place_if(kind, STAGE_FLUSH);
	return writes_to_store(kind) ? nowhere : place_if(kind, STAGE_WRITE);
}

struct job_place job_place_of(const struct disk_request *r,
			      enum job_kind wanted)
{
	bool recovering = READ_ONCE(places.recovering);
	enum job_kind kind = running_kind(wanted);
	struct job_place place = r->disk->number ? place_on_base(r) :
						   place_on_store(r, wanted);

	return recovering ? place_if(kind, STAGE_RECOVERY) : place;
}
