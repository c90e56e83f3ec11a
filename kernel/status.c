// SPDX-License-Identifier: GPL-2.0
/* Status lines; their words are in Documentation/dm-cowstack. */
#include "job.h"
#include "stack.h"

static u64 used_chunks(struct store *store)
{
	struct allocator *a = &store->metadata.allocator;

	return READ_ONCE(a->chunks) - READ_ONCE(a->free);
}

#define STATISTIC(key, value) DMEMIT(" " key " %llu", (u64)(value))

void store_status(struct store *store, char *result, unsigned int maxlen)
{
	struct cowstack_metadata *md = &store->metadata;
	struct cowstack_volume *volume;
	unsigned int volumes = 0;
	size_t sz = 0;

	if (store->mode == STORE_FAIL) {
		DMEMIT("Fail");
		return;
	}
	mutex_lock(&store->metadata_lock);
	list_for_each_entry(volume, &md->volumes, list)
		volumes++;
	DMEMIT("%s %u %llu/%llu %llu %u %u 14", store_mode_name(store->mode),
	       store_geometry(store)->chunk_sectors, used_chunks(store),
	       md->allocator.chunks, cowstack_metadata_clean(md), volumes,
	       store->out_of_space);
	STATISTIC("freeing", cowstack_metadata_freeing(md));
	STATISTIC("metadata_chunks", md->allocator.metadata_chunks);
	STATISTIC("map_pages", md->allocator.pages);
	STATISTIC("memory_bytes", cowstack_metadata_memory(md));
	STATISTIC("parked", atomic64_read(&store->parked_writes));
	STATISTIC("steps", atomic64_read(&store->steps));
	STATISTIC("step_blocks",
		  atomic64_read(&store->step_blocks_written));
	STATISTIC("flushes_served", atomic64_read(&store->flushes_served));
	STATISTIC("checkpoints", atomic64_read(&store->checkpoints));
	STATISTIC("journal_used", md->head - md->tail);
	STATISTIC("journal_blocks", store_geometry(store)->ring_blocks);
	STATISTIC("journal_position", md->head);
	STATISTIC("discarded", atomic64_read(&store->discarded));
	STATISTIC("fills", atomic64_read(&store->fills));
	mutex_unlock(&store->metadata_lock);
}

const char *base_alone_name(const struct cowstack_volume_info *info)
{
	if (info->mixed_top != COWSTACK_BASE_LAYER)
		return "mixed";
	return info->base_time ? "valid" : "unknown";
}

static const char *job_state(const struct cowstack_job *job)
{
	static const char * const names[] = {
		[COWSTACK_JOB_IDLE] = "idle",
		[COWSTACK_JOB_QUEUED] = "queued",
		[COWSTACK_JOB_RUNNING] = "running",
		[COWSTACK_JOB_PAUSED] = "paused",
		[COWSTACK_JOB_STOPPED] = "stopped",
		[COWSTACK_JOB_COMPLETED] = "completed",
		[COWSTACK_JOB_CANCELLED] = "cancelled",
	};

	return names[job->state];
}

static const char *job_kind(const struct cowstack_job *job)
{
	static const char * const names[] = {
		[COWSTACK_JOB_NONE] = "-",
		[COWSTACK_JOB_COMMIT] = "commit",
		[COWSTACK_JOB_STREAM] = "stream",
	};

	return names[job->kind];
}

static void print_volume(struct store *store,
			 const struct cowstack_volume *volume,
			 const struct job_status *job, char *result,
			 unsigned int maxlen)
{
	const struct cowstack_volume_info *info = &volume->info;
	size_t sz = 0;

	DMEMIT("%s %u %u %llu %llu %s %s %s %u %u %llu/%llu %llu %u 4",
	       store_mode_name(store->mode), cowstack_volume_depth(volume),
	       from_layer_id(volume->top->id), cowstack_volume_used(volume),
	       cowstack_volume_clean(volume), base_alone_name(info),
	       job_state(&job->record), job_kind(&job->record),
	       from_layer_id(job->record.top), from_layer_id(job->record.base),
	       job->record.done, job->record.total, job->record.speed,
	       job->record.error);
	STATISTIC("base_time", info->base_time);
	STATISTIC("rate_bytes", job->rate);
	STATISTIC("errors", job->record.errors);
	STATISTIC("first_error", job->record.first_error);
}

void volume_status(struct store *store, const struct cowstack_volume *volume,
		   char *result, unsigned int maxlen)
{
	struct job_status job;
	size_t sz = 0;

	if (store->mode == STORE_FAIL) {
		DMEMIT("Fail");
		return;
	}
	job_get_volume_status(store, volume, &job);
	print_volume(store, volume, &job, result, maxlen);
}

void stack_status(struct stack *stack, char *result, unsigned int maxlen)
{
	struct job_status job;
	size_t sz = 0;

	if (stack->store->mode == STORE_FAIL) {
		DMEMIT("Fail");
		return;
	}
	mutex_lock(&stack->store->metadata_lock);
	job_get_status(stack, &job);
	print_volume(stack->store, stack->volume, &job, result, maxlen);
	mutex_unlock(&stack->store->metadata_lock);
}
