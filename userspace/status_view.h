/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All there is to say of one volume or one store, and saying it: to people
 * (status_text.c) and to programs (status_json.c).
 */
#ifndef DMCOMMIT_STATUS_VIEW_H
#define DMCOMMIT_STATUS_VIEW_H

#include "job.h"
#include "message.h"

struct status_view {
	const struct volume *volume;
	const struct store *store;	/* NULL: not attached */
	u64 chunk_bytes;
	char base[DEVICE_PATH];		/* "": not known */
	char base_file[DEVICE_PATH];	/* "": it is no file */
	char store_device[DEVICE_PATH];
	struct stack_status status;	/* of one that is down: mode "down" */
	struct layer_line *layers;
	size_t layer_count;
};

/* Asks the kernel; to be freed with _free, also after a failure. */
enum exit_code status_view_load(struct status_view *view,
				const struct volume *volume);
void status_view_free(struct status_view *view);

void status_print_volume_text(const struct status_view *view);
void status_print_store_text(const struct store *store);

void status_print_volume_json(struct json *json, const char *key,
			      const struct status_view *view);
void status_print_store_json(struct json *json, const char *key,
			     const struct store *store);

#endif /* DMCOMMIT_STATUS_VIEW_H */
