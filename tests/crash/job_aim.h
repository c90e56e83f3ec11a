/* SPDX-License-Identifier: GPL-2.0 */
/* Where cuts of jobs have fallen, and where the next is to fall. */
#ifndef COWSTACK_CRASH_JOB_AIM_H
#define COWSTACK_CRASH_JOB_AIM_H

#include "job_place.h"

void job_aim_count(struct job_place place);
/* The place that was hit least, or the recovery of a job that was cut off. */
struct job_place job_aim_choose(struct random *random);
/* The cut falls on one of so many requests of that stage. */
unsigned int job_aim_most(enum job_stage stage);
/* Each kind and each stage so often, and each stage of each kind? */
bool job_aim_has_hit(unsigned int least, unsigned int least_in_place);
void job_aim_print(void);

#endif /* COWSTACK_CRASH_JOB_AIM_H */
