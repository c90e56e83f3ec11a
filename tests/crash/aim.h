/* SPDX-License-Identifier: GPL-2.0 */
/* Where the next cut is to fall, and the watch over all requests that makes it. */
#ifndef COWSTACK_CRASH_AIM_H
#define COWSTACK_CRASH_AIM_H

#include "job_place.h"
#include "phase.h"
#include "random.h"

enum aim_kind {
	AIM_PHASE,
	AIM_JOB,			/* a stage of a kind of job */
	AIM_METADATA,			/* any write of the store's own blocks */
	AIM_ANY,
	AIM_ERROR,			/* no cut: a request of one disk fails */
};

struct aim {
	enum aim_kind kind;
	enum phase phase;
	struct job_place job;		/* of JOB_KINDS if not AIM_JOB */
	int countdown;			/* requests of that place; 0: no cut */
	bool wants_stake;		/* not before there is some … */
	bool has_stake;			/* … of both volumes */
	bool alone;			/* the disk where it falls alone loses its cache */
	bool stop;			/* the machine stops there, its disks do not */
	bool behind_stop;		/* the one before was such a stop */
	struct disk *pull;		/* goes there, and the power stays on */
	struct disk *fails;		/* of AIM_ERROR */
	bool at_load;			/* … while stacks come up, or not */
	bool spares_reads;		/* … and of what changes the disk */
	/* What became of it. */
	bool fell;
	enum phase fell_on;
	bool metadata;			/* it fell on such a write */
	struct disk_request request;
	/* The last request, whether it was aimed at or not. */
	enum phase last;
	struct job_place last_job;
};

/* The watch looks at it, and changes it, under the power's lock. */
extern struct aim aim;

/* A ring that goes round is aimed at from now on. */
void aim_at_ring_from_now_on(void);
/*
 * The power is off, or nothing is up: nobody watches.  @after_cut: of the same store there
 * has been one.
 */
void aim_take(struct random *random, bool after_cut);
/* @pull goes at a request of @phase. */
void aim_pull(struct disk *pull, enum phase phase, struct random *random);
/*
 * The @n-th request of @disk fails, while stacks come up or when they are up; of all, or
 * of those that are no reads.
 */
void aim_error(struct disk *disk, bool at_load, bool spares_reads, int n);
/* What was to fall in a recovery and has not falls soon after it. */
void aim_behind_recovery(void);
enum disk_cut aim_watch(const struct disk_request *request);

#endif /* COWSTACK_CRASH_AIM_H */
