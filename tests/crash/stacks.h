/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store and its two stacks over the simulated disks, and their commits.  With
 * two levels: a store on the second disk, whose two stacks are the bases, over the
 * halves of the third, the master.
 */
#ifndef COWSTACK_CRASH_STACKS_H
#define COWSTACK_CRASH_STACKS_H

#include "oracle.h"

extern struct disk store_disk;
extern struct disk base_disks[VOLUMES];
extern const char *const stack_paths[VOLUMES];

enum { STORE_DISK_SECTORS = 16384 };

struct stack_view {
	unsigned int layers;
	u64 used;
	bool idle;			/* none since it is up */
	bool running;
	bool completed;
	bool stopped;
	bool valid;			/* base_alone */
	int error;			/* of the job */
	u64 done;
	u64 total;
};

struct store_view {
	u64 used;
	u64 total;
	u64 position;			/* of the journal: blocks since format */
	u64 checkpoints;
	u64 steps;
	u64 parked;			/* writes that wait for room */
	bool writable;			/* mode rw */
};

/* @blocks: bytes of a logical block of each of the three. */
void stacks_open_disks(bool two_levels, const unsigned int *blocks);
void stacks_close_disks(void);
/* Bytes of a logical block of that volume: the largest of what it lies on. */
unsigned int stacks_block(unsigned int volume);

/* A new store, of @data_sectors, and two bases with content of their own. */
void stacks_format(u32 chunk_sectors, u64 data_sectors, const char *on_full);
/* Before it: the lower store, with chunks of @chunk_sectors. */
void stacks_format_lower(u32 chunk_sectors);

/* Words for the volume's table line, with a space in front; none by default. */
void stacks_set_features(unsigned int volume, const char *features);

/* Fails only for a cut; any other failure is reported. */
int stacks_bring_up(void);
/* What is up then is to be taken down. */
int stacks_try_bring_up(void);
void stacks_take_down(void);
/* Reads both volumes and checks them; fails for a cut. */
int stacks_check(void);
/* … after a cut at that time of a run that was recorded. */
int stacks_check_at(u32 time);
/* The same with no cut before it: each sector is as it was written last. */
int stacks_check_now(void);
/* A base that has come back elsewhere, while its stack is live. */
int stacks_reload(unsigned int volume);
/* Goes on with what stopped. */
int stacks_commit_again(unsigned int volume);

int stacks_view(unsigned int volume, struct stack_view *view);
int stacks_view_store(struct store_view *view);

int stacks_snapshot(unsigned int volume);
/*
 * @quiet: nothing is written meanwhile, so what the base must hold when the
 * commit has ended is known.
 */
int stacks_commit(unsigned int volume, bool quiet, const char *options);
void stacks_cancel(unsigned int volume);
/* A commit of the stack below, while that above has none. */
void stacks_commit_lower(unsigned int volume);
/* Has it ended, then at the master alone; true: it runs. */
bool stacks_check_lower(unsigned int volume);
/* Drops an empty layer if there is one. */
void stacks_drop_empty(unsigned int volume);
/*
 * Looks whether a commit has ended, and if so at the base alone; after a cut also
 * at a base that was valid before.
 */
void stacks_check_commit(unsigned int volume, const struct stack_view *view,
			 bool after_cut);

u64 stacks_bases_checked(void);
u64 stacks_masters_checked(void);
u64 stacks_commits(void);
u64 stacks_drops(void);

#endif /* COWSTACK_CRASH_STACKS_H */
