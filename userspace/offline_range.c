// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include "offline_job.h"
#include "size.h"

static bool is_called(const struct cowstack_layer *layer, const char *text)
{
	u64 id;

	if (!number_parse(text, U32_MAX, &id))
		return from_layer_id(layer->id) == id;
	return layer->name[0] && !strcmp(layer->name, text);
}

static struct cowstack_layer *find_layer(const struct offline_job *job,
					 const char *text)
{
	struct cowstack_layer *layer = job->volume->top;

	while (layer && !is_called(layer, text))
		layer = layer->parent;
	return layer;
}

static struct cowstack_layer *find_id(const struct offline_job *job,
				      layer_id_t id)
{
	struct cowstack_layer *layer = job->volume->top;

	while (layer && layer->id != id)
		layer = layer->parent;
	return layer;
}

/* --- the base --- */

static enum exit_code check_identity(struct offline_job *job)
{
	const struct cowstack_volume_info *info = &job->volume->info;
	u32 crc;
	int error;

	if (!(info->flags & COWSTACK_VOLUME_BASE_RECORDED))
		return fail(EXIT_REFUSED,
			    "no base is recorded for volume %s; bring it up once",
			    job->name);
	if (job->base.sectors != info->base_sectors)
		return fail(EXIT_REFUSED,
			    "%s is not the recorded base %s: %llu sectors, not %llu; give that one",
			    job->base.device.path, info->base_name,
			    llu(job->base.sectors), llu(info->base_sectors));
	/* Between two states its content is neither's. */
	if (info->mixed_top != COWSTACK_BASE_LAYER)
		return EXIT_DONE;
	error = base_file_sample(&job->base, info->base_seed, &crc);
	if (error)
		return fail_errno(error, NULL, "%s", job->base.device.path);
	if (crc == info->base_crc)
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "%s is not the recorded base %s: its content differs; give that one",
		    job->base.device.path, info->base_name);
}

/* What another volume of the store shows must not change with its base. */
static enum exit_code check_others(const struct offline_job *job)
{
	const struct cowstack_volume_info *info = &job->volume->info;
	const struct cowstack_volume *other;

	list_for_each_entry(other, &job->store.md.volumes, list)
		if (other != job->volume &&
		    other->info.flags & COWSTACK_VOLUME_BASE_RECORDED &&
		    other->info.base_sectors == info->base_sectors &&
		    (other->info.base_crc == info->base_crc ||
		     !strcmp(other->info.base_name, info->base_name)) &&
		    cowstack_volume_used(other))
			return fail(EXIT_REFUSED,
				    "volume %u, %s, lies on the same base and holds data; commit with both up, and allow_shared_base",
				    from_volume_id(other->info.id),
				    other->info.name);
	return EXIT_DONE;
}

static enum exit_code open_base(struct offline_job *job)
{
	const char *path = job->options->base;
	enum exit_code code;

	if (!path)
		return fail(EXIT_USAGE,
			    "start --offline needs --base: the base's device, or a layer to commit into");
	if (!strcmp(path, "0"))
		return fail(EXIT_USAGE,
			    "--base 0 is the base; while the volume is not up, name its device");
	if (!strchr(path, '/') && access(path, F_OK))
		return fail(EXIT_MISSING,
			    "volume %s has no layer %s, and there is no device of that name",
			    job->name, path);
	code = base_file_open(&job->base, path);
	job->base_open = !code;
	if (!code)
		code = check_identity(job);
	return code ? code : check_others(job);
}

/*
 * Sectors behind the base's end in the sixteenth in which that lies, where they are
 * zeroes: such a piece was completed with what the base shows there.  0 or -errno.
 */
static int find_zero_tail(const struct offline_job *job, u64 *sectors)
{
	struct cowstack_segment tail;
	struct io_ring_part part;
	u64 first, end, i;
	const u8 *data;
	int error;

	*sectors = 0;
	if (!cowstack_range_tail(offline_geometry(job), &job->range,
				 job->base.sectors, &tail))
		return 0;
	first = tail.place / COWSTACK_BLOCK_SECTORS;
	end = DIV_ROUND_UP(tail.place + tail.sectors, COWSTACK_BLOCK_SECTORS);
	part.offset = first * COWSTACK_BLOCK_SIZE;
	part.bytes = (end - first) * COWSTACK_BLOCK_SIZE;
	if (posix_memalign(&part.buffer, COWSTACK_BLOCK_SIZE, part.bytes))
		return -ENOMEM;
	error = store_file_read_parts(job->store.file, &part, 1);
	data = (u8 *)part.buffer + (tail.place % COWSTACK_BLOCK_SECTORS
				    << COWSTACK_SECTOR_SHIFT);
	for (i = 0; !error && i < tail.sectors << COWSTACK_SECTOR_SHIFT; i++)
		if (data[i])
			tail.sectors = 0;
	if (!error)
		*sectors = tail.sectors;
	free(part.buffer);
	return error;
}

static enum exit_code check_base_end(const struct offline_job *job)
{
	u64 held, zeroes;
	int error;

	if (job->destination || job->base.sectors >= job->volume->info.sectors)
		return EXIT_DONE;
	held = cowstack_range_held_behind(offline_geometry(job), &job->range,
					  job->base.sectors);
	if (!held)
		return EXIT_DONE;
	error = find_zero_tail(job, &zeroes);
	if (error)
		return fail_errno(error, NULL, "%s",
				  store_file_device(job->store.file)->path);
	held -= zeroes;
	if (!held)
		return EXIT_DONE;
	return fail(EXIT_FAILED,
		    "the base ends at sector %llu, and the layers hold %llu sectors behind it; give a base as large as the volume",
		    llu(job->base.sectors), llu(held));
}

/* --- the range --- */

/* Why nothing may be taken from @layer, and nothing put into it; or NULL. */
static const char *reason_to_spare(const struct offline_job *job,
				   const struct cowstack_layer *layer)
{
	if (layer->flags & COWSTACK_LAYER_PINNED)
		return "is pinned";
	if (cowstack_layer_is_shared(job->volume, layer))
		return "belongs to another volume too";
	return NULL;
}

/* The lowest such layer from @top down to above the destination, or NULL. */
static struct cowstack_layer *find_spared(const struct offline_job *job,
					  struct cowstack_layer *top)
{
	struct cowstack_layer *layer, *spared = NULL;

	for (layer = top; layer != job->destination; layer = layer->parent)
		if (reason_to_spare(job, layer))
			spared = layer;
	return spared;
}

static enum exit_code refuse_spared(const struct offline_job *job, const char *what,
				    const struct cowstack_layer *spared)
{
	return fail(EXIT_REFUSED, "%s: layer %u %s", what,
		    from_layer_id(spared->id), reason_to_spare(job, spared));
}

static enum exit_code choose_destination(struct offline_job *job)
{
	const char *text = job->options->base;

	job->destination = text ? find_layer(job, text) : NULL;
	if (!job->destination)
		return open_base(job);
	if (job->destination == job->volume->top)
		return fail(EXIT_REFUSED,
			    "layer %s is the top of %s; a commit goes into a layer below what it takes",
			    text, job->name);
	if (job->options->retain)
		return fail(EXIT_USAGE,
			    "--retain keeps copies of what the base has too; commit into the base, or leave it out");
	return reason_to_spare(job, job->destination) ?
		       refuse_spared(job, "nothing may be committed into it",
				     job->destination) :
		       EXIT_DONE;
}

static bool lies_above_destination(const struct offline_job *job,
				   const struct cowstack_layer *top)
{
	const struct cowstack_layer *layer;

	for (layer = job->destination; layer; layer = layer->parent)
		if (layer == top)
			return false;
	return true;
}

static enum exit_code choose_given_top(struct offline_job *job)
{
	const char *text = job->options->top;
	struct cowstack_layer *top = find_layer(job, text), *spared;

	if (!top)
		return fail(EXIT_MISSING, "volume %s has no layer %s", job->name,
			    text);
	if (top == job->volume->top)
		return fail(EXIT_REFUSED,
			    "layer %s is the top of %s; leave out --top, and a snapshot of it is taken",
			    text, job->name);
	if (!lies_above_destination(job, top))
		return fail(EXIT_USAGE, "layer %s does not lie above layer %s",
			    text, job->options->base);
	if (!cowstack_layer_is_whole(job->volume, top))
		return fail(EXIT_REFUSED,
			    "layer %s shows no point in time: a commit from above has taken of it",
			    text);
	spared = find_spared(job, top);
	if (spared)
		return refuse_spared(job, "nothing may be committed from it",
				     spared);
	job->top = top;
	return EXIT_DONE;
}

/* It ends below what must be spared; else with a snapshot. */
static enum exit_code choose_own_top(struct offline_job *job)
{
	struct cowstack_layer *top = job->volume->top;
	struct cowstack_layer *spared = find_spared(job, top->parent);

	if (spared && spared->parent == job->destination)
		return refuse_spared(job, "nothing may be committed", spared);
	job->snapshot = !spared && !cowstack_layer_is_empty(top) &&
			cowstack_volume_depth(job->volume) < COWSTACK_MAX_LAYERS;
	job->top = spared ? spared->parent : job->snapshot ? top : top->parent;
	if (job->top != job->destination && !job->snapshot &&
	    !cowstack_layer_is_whole(job->volume, job->top))
		return fail(EXIT_REFUSED, "layer %u shows no point in time",
			    from_layer_id(job->top->id));
	if (job->top == job->destination && !job->snapshot &&
	    !cowstack_layer_is_empty(top))
		return fail(EXIT_FAILED,
			    "the top of %s cannot be frozen, as a chain has at most %u layers; commit into a lower layer or the base first",
			    job->name, COWSTACK_MAX_LAYERS);
	return EXIT_DONE;
}

/*
 * Clean copies are committed already.  But a destination that is mixed though the
 * layers hold nothing more waits to be told that this has ended.
 */
static bool has_nothing_to_do(const struct offline_job *job)
{
	const struct cowstack_layer *layer;

	if (job->top == job->destination)
		return true;
	/* A top that cannot be frozen wants empty layers to leave the chain. */
	if (job->snapshot || !cowstack_layer_is_empty(job->volume->top) ||
	    (job->destination ?
	     job->destination->flags & COWSTACK_LAYER_MIXED :
	     job->volume->info.mixed_top != COWSTACK_BASE_LAYER))
		return false;
	for (layer = job->top; layer != job->destination; layer = layer->parent)
		if (!cowstack_layer_is_clean(layer))
			return false;
	return true;
}

static enum exit_code choose_anew(struct offline_job *job)
{
	enum exit_code code = choose_destination(job);

	if (!code)
		code = job->options->top ? choose_given_top(job) :
					   choose_own_top(job);
	if (!code && !job->options->top && has_nothing_to_do(job))
		job->top = NULL;
	return code;
}

/* --- a job that was cut off, paused or stopped --- */

static bool is_unfinished(const struct cowstack_job *record)
{
	return record->kind != COWSTACK_JOB_NONE &&
	       record->state >= COWSTACK_JOB_QUEUED &&
	       record->state <= COWSTACK_JOB_STOPPED;
}

/* A record that is hostile, or of before a pin or a clone, may name others. */
static bool recorded_range_is_good(const struct offline_job *job)
{
	const struct cowstack_layer *layer;

	if (!job->top || job->top == job->volume->top ||
	    (job->record.base != COWSTACK_BASE_LAYER && !job->destination) ||
	    job->top == job->destination ||
	    !lies_above_destination(job, job->top))
		return false;
	for (layer = job->top; layer != job->destination; layer = layer->parent)
		if (reason_to_spare(job, layer))
			return false;
	return !job->destination ||
	       !cowstack_layer_is_shared(job->volume, job->destination);
}

static enum exit_code choose_recorded(struct offline_job *job)
{
	const struct cowstack_job *record = &job->record;
	const char *base = job->options->base;

	if (record->kind == COWSTACK_JOB_STREAM)
		return fail(EXIT_REFUSED,
			    "volume %s has a stream that is not finished; bring it up, and that goes on",
			    job->name);
	job->top = find_id(job, record->top);
	job->destination = record->base == COWSTACK_BASE_LAYER ? NULL :
			   find_id(job, record->base);
	if (!recorded_range_is_good(job))
		return fail(EXIT_FAILED,
			    "volume %s: the layers of its commit are not there any more; bring it up and cancel it",
			    job->name);
	if (job->options->top ||
	    (base && find_layer(job, base) != job->destination))
		return fail(EXIT_REFUSED,
			    "volume %s has a commit of layer %u into %s that is not finished; %s to go on with it, or bring it up and cancel it",
			    job->name, from_layer_id(record->top),
			    job->destination ? "a layer" : "the base",
			    job->destination ? "leave out --top and --base" :
			    "leave out --top, give the base's device");
	return job->destination ? EXIT_DONE : open_base(job);
}

/* --- both --- */

static void fill_ranges(struct offline_job *job)
{
	cowstack_range_fill(&job->range, job->top, job->destination);
	if (job->destination)
		cowstack_range_fill(&job->merged, job->top,
				    job->destination->parent);
	job->bottom = job->top;
	while (job->bottom->parent != job->destination)
		job->bottom = job->bottom->parent;
}

static void apply_options(struct offline_job *job,
			  const struct job_request *request)
{
	const struct options *options = job->options;
	struct cowstack_job *record = &job->record;

	if (options->speed)
		record->speed = request->speed;
	if (options->on_error)
		record->on_error = request->on_error;
	if (options->no_yield)
		record->flags &= ~COWSTACK_JOB_YIELD;
	if (options->retain)
		record->flags |= COWSTACK_JOB_RETAIN;
	if (options->verify)
		record->flags |= COWSTACK_JOB_VERIFY;
	record->until = request->until;
}

enum exit_code offline_choose(struct offline_job *job,
			      const struct job_request *request)
{
	enum exit_code code;

	job->record = job->volume->info.job;
	job->resumed = is_unfinished(&job->record);
	if (!job->resumed) {
		memset(&job->record, 0, sizeof(job->record));
		job->record.flags = COWSTACK_JOB_YIELD;
	}
	code = job->resumed ? choose_recorded(job) : choose_anew(job);
	if (code || !job->top)
		return code;
	apply_options(job, request);
	fill_ranges(job);
	return check_base_end(job);
}
