/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drives core over simulated devices in the order in which the module does it,
 * and keeps the model beside it.  Everything is one thread; what the module does
 * side by side is cut into pieces here, which callers mix as they like.
 *
 * With COWSTACK_FAULT the rules that core itself cannot break are broken here.
 */
#ifndef COWSTACK_UNIT_STORE_DRIVER_H
#define COWSTACK_UNIT_STORE_DRIVER_H

#include "change.h"
#include "checkpoint.h"
#include "commit_plan.h"
#include "fault.h"
#include "load.h"
#include "random.h"
#include "simulated_device.h"
#include "stream_plan.h"
#include "volume_model.h"

enum {
	DRIVER_VOLUMES = 3,
	DRIVER_BASES = DRIVER_VOLUMES,
	DRIVER_MAX_IN_FLIGHT = 4,
	DRIVER_MAX_IO_SECTORS = 256,
	DRIVER_MAX_CHUNKS = 160,
	DRIVER_STORE_SECTORS = 2048 + DRIVER_MAX_CHUNKS * 128,
	DRIVER_GROUP_CHUNKS = 16,
	DRIVER_MAX_CHUNK_SECTORS = 128,
};

struct driver_volume;

/* A write between being sent and being acknowledged. */
struct driver_write {
	bool used;
	bool fua;
	bool fails;		/* an I/O error; nothing of it can be seen */
	bool publishes;		/* brings new pieces */
	u64 ticket;
	u64 sector;
	u32 count;
	u64 counter;
	vchunk_t chunk;
	dchunk_t place;
	u16 mask;
};

/* A read between looking up where things are and reading them. */
struct driver_read {
	bool used;
	bool fails;
	u64 sector;
	u32 count;
	u64 oldest;		/* versions from this counter on may be seen */
	u64 zeroing;
	struct cowstack_extent extents[DRIVER_MAX_IO_SECTORS];
	u64 expected[DRIVER_MAX_IO_SECTORS];
};

/* A chunk that is about to go up. */
struct driver_pull {
	vchunk_t chunk;
	u16 gathered;		/* pieces, whose sectors lie in .data */
	bool took;		/* a new chunk, that nothing names yet */
	map_word_t word;
	u64 data[DRIVER_MAX_CHUNK_SECTORS];
};

/* Jobs: streams go through the same states, but for the flush. */
enum commit_state {
	COMMIT_IDLE,
	COMMIT_MARK,
	COMMIT_MARKING,
	COMMIT_GATHER,
	COMMIT_WRITE,
	COMMIT_FLUSH,
	COMMIT_LET_GO,
	COMMIT_WAITING,		/* for the step that lets go */
	COMMIT_END,
	COMMIT_ENDING,
	COMMIT_EMPTIED,		/* layers that keep nothing leave, one by one */
	COMMIT_LEAVING,
	COMMIT_STANDING,	/* paused, or stopped by an error */
};

/* What is copied: to the base, or within the store. */
struct commit_sector {
	u64 sector;
	u64 version;
};

struct driver_commit {
	enum commit_state state;
	layer_id_t top;		/* of a stream the layer that takes */
	layer_id_t base;	/* the destination, or what a stream goes down to */
	bool stream;
	bool with_base;
	layer_id_t bottom;	/* of a stream's own sources, or 0 */
	bool retain;
	bool reports;		/* goes on after errors */
	u64 errors;
	bool ending;		/* the step that ends it is sent */
	bool kept;		/* with layers of the range still there */
	layer_id_t emptied;	/* to be looked at, or leaving */
	layer_id_t emptied_end;	/* and the layer below the last */
	u64 first;		/* chunks of the group: first … next - 1 */
	u64 next;
	bool has_change;
	struct cowstack_change change;
	struct cowstack_replacement replacements[DRIVER_GROUP_CHUNKS];
	u32 replacement_count;
	struct driver_pull *pulls;
	u32 pull_count;
	bool one_by_one;	/* a batch of several has failed */
	bool past_shared;	/* sources that others use too */
	u64 pulled;		/* a stream: sectors of the base */
	struct commit_sector *sectors;
	u32 sector_count;
};

/* A base, which clones share. */
struct driver_base {
	struct simulated_device device;
	u64 *content;		/* where no commit into it is unfinished */
};

struct driver_volume {
	u32 number;
	struct cowstack_volume *volume;	/* NULL: there is none */
	struct driver_base *base;
	struct volume_model model;
	struct driver_write writes[DRIVER_MAX_IN_FLIGHT];
	struct driver_read reads[DRIVER_MAX_IN_FLIGHT];
	struct driver_commit commit;
	bool uncertain;			/* being created or deleted */
	bool exchanged;			/* the base is, and that not accepted yet */
	u64 growing_to;			/* size being recorded, or 0 */
	u32 freezing;			/* layer being frozen, or 0 */
	u32 streamed_into;		/* a top that has taken from below, or 0 */
};

enum checkpoint_state {
	CHECKPOINT_IDLE,
	CHECKPOINT_PAGES,
	CHECKPOINT_STEP,
	CHECKPOINT_INDEX,
	CHECKPOINT_WRITE_INDEX,
	CHECKPOINT_FLUSH,
	CHECKPOINT_SUPERBLOCK_A,
	CHECKPOINT_SUPERBLOCK_B,
	CHECKPOINT_END,
};

/* What was done. */
struct driver_counts {
	u64 steps;
	u64 partial_steps;	/* that could not take every word */
	u64 full;		/* times that a write found no room, where one had */
	u64 full_at_work;	/* of these, with a job at work */
	u64 room_again;		/* and the next that needed some found it */
	u64 checkpoints;
	u64 commits;		/* of these: */
	u64 layer_commits;	/* into a layer */
	u64 retained;
	u64 with_errors;
	u64 stops;		/* for want of room */
	u64 streams;		/* of these: */
	u64 top_streams;	/* into the top */
	u64 base_streams;	/* with the base */
	u64 shared_streams;	/* past layers of clones */
	u64 changed_plans;	/* as a guest wrote meanwhile */
	u64 exchanges;		/* of bases */
	u64 clean_dropped;	/* for that */
	u64 clones;
	u64 drops;
	u64 clean_words;	/* compared with what shows below them */
	u64 emptied;		/* layers, by make_empty */
	u64 changes;		/* messages that changed something */
	u64 reloads;
	u64 no_memory;		/* things put off for want of it */
};

struct store_driver {
	struct random random;
	struct power power;
	struct simulated_device store;
	struct driver_volume volumes[DRIVER_VOLUMES];
	struct driver_base bases[DRIVER_BASES];
	struct cowstack_metadata md;
	bool open;
	/* Metadata could not be written; nothing more of it is. */
	bool ro;
	bool words_lost;		/* with words that are in no step */
	bool is_full;			/* so the last write that needed room found */
	struct list_head queue;		/* transactions for the next step */
	u32 step_blocks;		/* most of a step of this store */
	struct list_head draining;	/* durable runs whose I/O has to end */
	struct disk_record_block *blocks[COWSTACK_MAX_STEP_BLOCKS];
	struct disk_record_block *block_memory;
	enum checkpoint_state checkpoint_state;
	bool checkpointing;		/* a whole one, under no room */
	struct cowstack_checkpoint checkpoint;
	u64 counter;			/* of versions */
	u64 tickets;
	struct driver_counts counts;
	bool stream_faults;	/* only streams break a rule */
	unsigned int commit_percent;	/* of the work on a volume */
	bool verbose;
	bool failed;
	char failure[256];
};

void driver_init(struct store_driver *d);
void driver_exit(struct store_driver *d);

/* An empty store on fresh devices, closed. */
void driver_format(struct store_driver *d, u64 seed);

/*
 * Loads, repairs superblocks, brings up volumes, checks all against the model.
 * False: an I/O or an allocation failed before anything was changed.
 */
bool driver_open(struct store_driver *d);
/* Forgets all memory, as a power cut does. */
void driver_close(struct store_driver *d);

/* Is rule @n broken where a job does it, a stream or not? */
bool driver_breaks(const struct store_driver *d, enum cowstack_fault n,
		   bool stream);

/* The store was found out: the first failure counts. */
void driver_fail(struct store_driver *d, const char *format, ...);
void driver_trace(struct store_driver *d, const char *format, ...);

static inline bool driver_is_over(const struct store_driver *d)
{
	return d->failed || d->power.dead;
}

/* Nothing can be changed any more. */
static inline bool driver_is_stuck(const struct store_driver *d)
{
	return driver_is_over(d) || d->ro || !d->open;
}

/* --- store_driver.c --- */

void driver_submit(struct store_driver *d, struct cowstack_change *change);
/*
 * Durable when this returns, and freed.  False: it was not to be, or nobody knows,
 * and memory is as before.
 */
bool driver_carry_out(struct store_driver *d, struct cowstack_change *change);
/* Steps until no word and no transaction waits. */
void driver_run_steps(struct store_driver *d);
void driver_reclaim(struct store_driver *d);
void driver_checkpoint_tick(struct store_driver *d);
void driver_checkpoint_whole(struct store_driver *d);
void driver_grow(struct store_driver *d);
/* A user's flush of all volumes. */
void driver_flush(struct store_driver *d);
/* Nothing is in flight: is any chunk lost, or free that should not be? */
void driver_check_leaks(struct store_driver *d);

/* --- volume_driver.c --- */

void volume_create(struct store_driver *d, struct driver_volume *v);
void volume_delete(struct store_driver *d, struct driver_volume *v);
void volume_grow(struct store_driver *d, struct driver_volume *v);
void volume_begin_write(struct store_driver *d, struct driver_volume *v,
			u64 sector, u32 count, bool fua);
void volume_end_write(struct store_driver *d, struct driver_volume *v,
		      struct driver_write *w);
void volume_discard(struct store_driver *d, struct driver_volume *v,
		    u64 chunk, u64 count);
void volume_begin_read(struct store_driver *d, struct driver_volume *v,
		       u64 sector, u32 count);
void volume_end_read(struct store_driver *d, struct driver_volume *v,
		     struct driver_read *r);
void volume_snapshot(struct store_driver *d, struct driver_volume *v);
/* @update edits the volume's record in the same step.  False: it was not to be. */
bool volume_freeze_top(struct store_driver *d, struct driver_volume *v,
		       cowstack_update_fn update, const void *argument);
/* A write in flight to @chunk; NULL: there is none. */
struct driver_write *volume_find_write(struct driver_volume *v, vchunk_t chunk);
struct cowstack_layer *volume_top(const struct driver_volume *v);
/* Ends what is in flight. */
void volume_drain(struct store_driver *d, struct driver_volume *v);
bool volume_uses_chunks(const struct store_driver *d,
			const struct driver_volume *v, u64 first, u64 count);
/* It has memory, once more is there. */
void volume_bring_up(struct store_driver *d, struct driver_volume *v);
void volume_close(struct store_driver *d, struct driver_volume *v);
void volume_resolve(const struct store_driver *d, const struct driver_volume *v,
		    u64 sector, u64 count, struct cowstack_extent *extent);
u64 volume_read_sector(const struct store_driver *d,
		       const struct driver_volume *v,
		       const struct cowstack_extent *extent, u64 from,
		       u64 sector);

/* --- base_driver.c --- */

u32 base_users(const struct store_driver *d, const struct driver_base *base);
struct driver_base *base_unused(struct store_driver *d);
/* @v's base gets new content. */
void base_fill(struct store_driver *d, struct driver_volume *v, u64 sectors);
/* Its size enters the volume's record. */
bool base_record(struct store_driver *d, struct driver_volume *v);
/* Other content, perhaps of another size, for all volumes over @v's base. */
void base_exchange(struct store_driver *d, struct driver_volume *v);
/* What the volume has of the base that was goes; again if that was cut. */
void base_accept(struct store_driver *d, struct driver_volume *v);

/* --- volume_check.c --- */

/* The same where a change may be under way: only what guests see. */
void volume_check_content(struct store_driver *d, struct driver_volume *v);
/* What each sector reads now, against the model, and all that is frozen. */
void volume_check(struct store_driver *d, struct driver_volume *v);
/* Checks and takes over what a load found; writes nothing. */
void volume_open(struct store_driver *d, struct driver_volume *v);
/* Takes away a volume that was half created or half deleted. */
void volume_finish_open(struct store_driver *d, struct driver_volume *v);

/* --- layer_driver.c --- */

/* A frozen layer of the volume; NULL: there is none. */
struct cowstack_layer *layer_random(struct store_driver *d,
				    struct driver_volume *v);
void layer_pin(struct store_driver *d, struct driver_volume *v);
void layer_drop(struct store_driver *d, struct driver_volume *v);
void layer_empty(struct store_driver *d, struct driver_volume *v);
/* Layers that were to leave, and have, or have not. */
void layers_settle(struct store_driver *d, struct driver_volume *v);
void layers_check(struct store_driver *d, struct driver_volume *v);
/* Have the first @end sectors of the base been pulled up into @layer? */
void layer_check_needs_no_base(struct store_driver *d, struct driver_volume *v,
			       const struct cowstack_layer *layer, u64 end);
void layers_check_newest(struct store_driver *d, struct driver_volume *v);
/* @v, which is none, becomes a clone of another; false: there is nothing. */
bool volume_clone(struct store_driver *d, struct driver_volume *v);

/* --- layer_check.c --- */

/* Does @layer alone show what it did when it was frozen? */
void layer_check_content(struct store_driver *d, struct driver_volume *v,
			 const struct model_point *point);
/* Is it a word of @layer or one below, not clean, that says what @sector shows? */
bool layer_decides(const struct store_driver *d,
		   const struct cowstack_layer *layer, u64 sector);
/* Does each clean word say what shows below it? */
void layers_check_clean(struct store_driver *d, struct driver_volume *v);
/* Where no commit is unfinished the base alone is one point in time. */
void base_check(struct store_driver *d, struct driver_volume *v);

/* --- stream_driver.c --- */

void stream_begin(struct store_driver *d, struct driver_volume *v);
/* Is @chunk of the top being settled, so that writers wait? */
bool stream_locks(const struct driver_volume *v, vchunk_t chunk);
/* Who wants to change the chain waits until a batch is settled. */
void stream_finish_batch(struct store_driver *d, struct driver_volume *v);

/* --- commit_driver.c --- */

void commit_begin(struct store_driver *d, struct driver_volume *v);

/* --- job_driver.c --- */

/* What a kind of job does in each state. */
struct job_kind {
	void (*mark)(struct store_driver *d, struct driver_volume *v);
	void (*gather)(struct store_driver *d, struct driver_volume *v);
	void (*write)(struct store_driver *d, struct driver_volume *v);
	void (*flush)(struct store_driver *d, struct driver_volume *v);
	/* False: it stopped. */
	bool (*let_go)(struct store_driver *d, struct driver_volume *v);
	void (*end)(struct store_driver *d, struct driver_volume *v);
	/* The step that ends it is durable. */
	void (*note_end)(struct store_driver *d, struct driver_volume *v);
	/* Are those there that its record names? */
	bool (*has_layers)(struct store_driver *d, struct driver_volume *v);
};

extern const struct job_kind commit_kind;
extern const struct job_kind stream_kind;

/* NULL: the base. */
struct cowstack_layer *job_layer(struct store_driver *d, layer_id_t id);
/* A change of the record alone, durable when this returns; as driver_carry_out(). */
bool job_change_record(struct store_driver *d, struct driver_volume *v,
		       cowstack_update_fn update, const void *argument);
/* Each a cowstack_update_fn, of the struct driver_commit. */
void job_update_start(struct cowstack_volume_info *info, const void *argument);
void job_update_progress(struct cowstack_volume_info *info,
			 const void *argument);
/* @what with the job's replacements goes into a step.  False: no room; it stopped. */
bool job_let_go(struct store_driver *d, struct driver_volume *v,
		struct cowstack_let_go *what);
/* In a step of its own, with none: FAULT_DROP_IN_TWO_STEPS. */
void job_let_go_first(struct store_driver *d, struct driver_volume *v,
		      const struct cowstack_let_go *what);
/* Its change goes into the next step, which may come at once or later. */
void job_submit(struct store_driver *d, struct driver_commit *job);
bool job_change_is_waiting(const struct driver_commit *job);
void job_free_change(struct driver_commit *job);
/* Chunk job->first stays where it is, and the next group begins behind it. */
void job_note_error(struct driver_commit *job);
/* For want of room, or after an error. */
void job_stop(struct store_driver *d, struct driver_volume *v);
/* The layers from @top down to @bottom are about to leave. */
void job_note_leaving(struct driver_volume *v,
		      const struct cowstack_layer *bottom,
		      const struct cowstack_layer *top, bool upward);

void job_tick(struct store_driver *d, struct driver_volume *v);
/* After a load: what the record says. */
void job_resume(struct store_driver *d, struct driver_volume *v);
/* Pauses, resumes or cancels it. */
void job_steer(struct store_driver *d, struct driver_volume *v);
/* One that stands goes on. */
void job_restart(struct store_driver *d, struct driver_volume *v);
/* If its last step is durable its end is. */
void job_settle(struct store_driver *d, struct driver_volume *v);
/* Nobody may change its layers meanwhile, or come to share them. */
bool job_is_ending(const struct driver_volume *v);
/* To its end, or to where it stands still. */
void job_run(struct store_driver *d, struct driver_volume *v);
bool job_uses_layer(const struct driver_volume *v,
		    const struct cowstack_layer *layer);
void job_drop(struct driver_volume *v);

#endif /* COWSTACK_UNIT_STORE_DRIVER_H */
