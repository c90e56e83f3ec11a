// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include "core/commit_choice.h"
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

static enum exit_code find_destination(struct offline_job *job)
{
	const char *text = job->options->base;

	job->destination = text ? find_layer(job, text) : NULL;
	if (!job->destination)
		return open_base(job);
	if (job->options->retain)
		return fail(EXIT_USAGE,
			    "--retain keeps copies of what the base has too; commit into the base, or leave it out");
	return EXIT_DONE;
}

static enum exit_code refuse_spared(const struct cowstack_commit_choice *choice,
				    const char *what)
{
	return fail(EXIT_REFUSED, "%s: layer %u %s", what,
		    from_layer_id(choice->spared->id), choice->why);
}

static enum exit_code refuse_choice(const struct offline_job *job,
				    const struct cowstack_commit_choice *choice,
				    enum cowstack_commit_obstacle obstacle)
{
	const char *base = job->options->base, *top = job->options->top;

	switch (obstacle) {
	case COWSTACK_COMMIT_MAY_GO:
		return EXIT_DONE;
	case COWSTACK_COMMIT_INTO_TOP:
		return fail(EXIT_REFUSED,
			    "layer %s is the top of %s; a commit goes into a layer below what it takes",
			    base, job->name);
	case COWSTACK_COMMIT_INTO_SPARED:
		return refuse_spared(choice, "nothing may be committed into it");
	case COWSTACK_COMMIT_TOP_WRITTEN:
		return fail(EXIT_REFUSED,
			    "layer %s is the top of %s; leave out --top, and a snapshot of it is taken",
			    top, job->name);
	case COWSTACK_COMMIT_TOP_NOT_ABOVE:
		return fail(EXIT_USAGE, "layer %s does not lie above layer %s",
			    top, base);
	case COWSTACK_COMMIT_TOP_NOT_WHOLE:
		return fail(EXIT_REFUSED,
			    "layer %s shows no point in time: a commit from above has taken of it",
			    top);
	case COWSTACK_COMMIT_TOP_SPARED:
		return refuse_spared(choice, "nothing may be committed from it");
	case COWSTACK_COMMIT_ALL_SPARED:
		return refuse_spared(choice, "nothing may be committed");
	case COWSTACK_COMMIT_BELOW_NOT_WHOLE:
	case COWSTACK_COMMIT_REST_NOT_WHOLE:
		return fail(EXIT_REFUSED, "layer %u shows no point in time",
			    from_layer_id(choice->top->id));
	case COWSTACK_COMMIT_NO_LAYER_LEFT:
		return fail(EXIT_FAILED,
			    "the top of %s cannot be frozen, as a chain has at most %u layers; commit into a lower layer or the base first",
			    job->name, COWSTACK_MAX_LAYERS);
	}
	return EXIT_FAILED;
}

static enum exit_code choose_anew(struct offline_job *job)
{
	struct cowstack_commit_request request = { };
	struct cowstack_commit_choice choice;
	const char *top = job->options->top;
	enum exit_code code = find_destination(job);

	request.destination = job->destination;
	if (!code && top) {
		request.top = find_layer(job, top);
		if (!request.top)
			code = fail(EXIT_MISSING, "volume %s has no layer %s",
				    job->name, top);
	}
	if (!code)
		code = refuse_choice(job, &choice,
				     cowstack_commit_choose(job->volume,
							    &request, &choice));
	if (code || choice.nothing)
		return code;
	job->top = choice.top;
	job->bottom = choice.bottom;
	job->snapshot = choice.snapshot;
	return EXIT_DONE;
}

/* --- a job that was cut off, paused or stopped --- */

static bool is_unfinished(const struct cowstack_job *record)
{
	return record->kind != COWSTACK_JOB_NONE &&
	       record->state >= COWSTACK_JOB_QUEUED &&
	       record->state <= COWSTACK_JOB_STOPPED;
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
	if ((record->base != COWSTACK_BASE_LAYER && !job->destination) ||
	    !cowstack_commit_may_go_on(job->volume, job->top, job->destination,
				       &job->bottom))
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
