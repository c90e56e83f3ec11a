// SPDX-License-Identifier: GPL-2.0
#include "job_end.h"

void cowstack_job_update_begin(struct cowstack_volume_info *info,
			       const void *argument)
{
	const struct cowstack_job_begin *begin = argument;

	info->job.total = begin->total;
	info->job.error = 0;
	/* Of several that were begun the highest top counts. */
	if (from_layer_id(begin->mixed_top) > from_layer_id(info->mixed_top))
		info->mixed_top = begin->mixed_top;
}

static void update_base(struct cowstack_volume_info *info,
			const struct cowstack_job_end *end)
{
	info->base_sectors = end->base_sectors;
	info->base_crc = end->base_crc;
	info->flags |= COWSTACK_VOLUME_BASE_RECORDED;
	info->mixed_top = COWSTACK_BASE_LAYER;
	info->base_time = end->now;
}

void cowstack_job_update_end(struct cowstack_volume_info *info,
			     const void *argument)
{
	const struct cowstack_job_end *end = argument;

	info->job = end->record;
	if (end->record.kind == COWSTACK_JOB_STREAM)
		return;
	if (end->base_valid)
		update_base(info, end);
	/* What the base has in part lies in the destination now. */
	else if (end->record.base != COWSTACK_BASE_LAYER &&
		 !end->record.errors &&
		 info->mixed_top != COWSTACK_BASE_LAYER &&
		 from_layer_id(info->mixed_top) <=
			 from_layer_id(end->record.top) &&
		 from_layer_id(info->mixed_top) >
			 from_layer_id(end->record.base))
		info->mixed_top = end->record.base;
}

bool cowstack_job_makes_base_valid(const struct cowstack_volume *volume,
				   struct cowstack_layer *top)
{
	const struct cowstack_layer *above = cowstack_layer_above(top,
								 volume->top);

	return from_layer_id(above->id) > from_layer_id(volume->info.mixed_top);
}
