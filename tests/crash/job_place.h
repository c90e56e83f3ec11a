/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which kind of job sends a request, and at which of its stages; told, as phases
 * are, by the request itself: the disk, the place, the record of the volume in the
 * journal, the versions that are written.
 */
#ifndef COWSTACK_CRASH_JOB_PLACE_H
#define COWSTACK_CRASH_JOB_PLACE_H

#include "core/format.h"
#include "disk.h"

enum job_kind {
	JOB_COMMIT,		/* into the base */
	JOB_LAYER,		/* of a frozen top into a layer below it */
	JOB_RETAIN,		/* into the base, copies stay until make_empty */
	JOB_STREAM,		/* into a frozen layer */
	JOB_STREAM_TOP,		/* into the top that is written */
	JOB_STREAM_BASE,	/* of the base too, into either */
	JOB_KINDS,
};

enum job_stage {
	STAGE_BEGIN,		/* the record, and the mark */
	STAGE_CONTROL,		/* paused, resumed, cancelled */
	STAGE_GATHER,
	STAGE_WRITE,
	STAGE_FLUSH,		/* of the base */
	STAGE_LET_GO,		/* of a stream: settle */
	STAGE_END,		/* the step by which layers leave */
	STAGE_EMPTY,		/* make_empty */
	STAGE_RECOVERY,		/* while stacks come up with such a job */
	STAGES,
};

struct job_place {
	enum job_kind kind;	/* JOB_KINDS: no job's */
	enum job_stage stage;
};

const char *job_kind_name(enum job_kind kind);
const char *job_stage_name(enum job_stage stage);
/* Does a job of @kind pass that stage at all? */
bool job_place_exists(enum job_kind kind, enum job_stage stage);
/* "KIND/STAGE"; false: no such. */
bool job_place_find(const char *name, struct job_place *place);

void job_place_set_geometry(const struct cowstack_geometry *geometry);
/* What runs for a volume when nothing has been seen of it; JOB_KINDS: nothing. */
void job_place_set_running(unsigned int volume, enum job_kind kind);
bool job_place_is_running(enum job_kind kind);
/* While stacks come up. */
void job_place_set_recovering(bool recovering);

/*
 * Sees all requests, in their order.  Where jobs of two kinds could have sent one
 * it is taken for that of kind @wanted.
 */
struct job_place job_place_of(const struct disk_request *request,
			      enum job_kind wanted);

#endif /* COWSTACK_CRASH_JOB_PLACE_H */
