/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Core's functions that write records of an index, where the linker has put the test's
 * __wrap_… in their place (Makefile).
 */
#ifndef COWSTACK_UNIT_WRAPPED_RECORDS_H
#define COWSTACK_UNIT_WRAPPED_RECORDS_H

#include "record.h"

bool __real_record_write_store(struct record_writer *w, u32 next_layer,
			       u64 chunks);
bool __real_record_write_volume(struct record_writer *w,
				const struct cowstack_volume_info *info,
				layer_id_t top);
bool __real_record_write_layer(struct record_writer *w,
			       const struct cowstack_layer *layer,
			       layer_id_t parent, u32 flags, const char *name);
bool __real_record_write_page(struct record_writer *w, layer_id_t layer,
			      u64 page, mblock_t block, u32 crc);

#endif /* COWSTACK_UNIT_WRAPPED_RECORDS_H */
