/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module is about when it sends a request, told by the request itself:
 * the disk, the place, and, in the journal, the records.
 */
#ifndef COWSTACK_CRASH_PHASE_H
#define COWSTACK_CRASH_PHASE_H

#include "core/format.h"
#include "disk.h"

enum phase {
	PHASE_WORK,		/* users' writes, flushes and their steps */
	PHASE_SNAPSHOT,		/* the step that freezes a layer */
	PHASE_GATHER,		/* a commit reads the store */
	PHASE_WRITE,		/* … writes to the base */
	PHASE_FLUSH,		/* … flushes it */
	PHASE_LET_GO,		/* … the step that drops the words */
	PHASE_FINISH,		/* … the step by which the layers leave */
	PHASE_GIVE_BACK,	/* room of the store is discarded */
	PHASE_CHECKPOINT,	/* map pages, index, superblocks */
	PHASE_RECOVERY,		/* anything before both stacks are up */
	/* With two levels: a commit of a lower stack, into the master image. */
	PHASE_MASTER_WRITE,
	PHASE_MASTER_FLUSH,
	PHASES,
	PHASES_OF_ONE_LEVEL = PHASE_MASTER_WRITE,
};

const char *phase_name(enum phase phase);
/* PHASES: no such name. */
enum phase phase_find(const char *name);

void phase_set_geometry(const struct cowstack_geometry *geometry);
/* Disk 1 is a store too, disk 2 what lies below its volumes. */
void phase_set_lower_geometry(const struct cowstack_geometry *geometry);
/* How many of them there are with as many levels. */
enum phase phase_count(void);
/* While stacks come up everything is recovery. */
void phase_set_recovering(bool recovering);
/* A write of journal, superblocks, index or map pages, of a store on either level. */
bool phase_is_metadata(const struct disk_request *request);
enum phase phase_of(const struct disk_request *request);

#endif /* COWSTACK_CRASH_PHASE_H */
