// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "device_file.h"
#include "message.h"
#include "output.h"

enum { NAME, TYPE, STATE, SIZE, USED, CLEAN, LAYERS, JOB, DEVICE };

static const struct column columns[] = {
	[NAME] = { "NAME", "name", COLUMN_TREE },
	[TYPE] = { "TYPE", "type", COLUMN_TEXT },
	[STATE] = { "STATE", "state", COLUMN_STATE },
	[SIZE] = { "SIZE", "size_bytes", COLUMN_SIZE },
	[USED] = { "USED", "used_bytes", COLUMN_SIZE },
	[CLEAN] = { "CLEAN", "clean_bytes", COLUMN_SIZE },
	[LAYERS] = { "LAYERS", "layers", COLUMN_NUMBER },
	[JOB] = { "JOB", "job_state", COLUMN_STATE },
	[DEVICE] = { "DEVICE OR BASE", "device", COLUMN_TEXT },
};

static struct row *add_store(struct output *output, const struct store *store)
{
	u64 chunk_bytes = store_chunk_bytes(store);
	struct row *row = output_add_row(output, NULL);
	char path[DEVICE_PATH];

	output_set_text(output, row, NAME, store->device.name);
	output_set_text(output, row, TYPE, "store");
	output_set_text(output, row, STATE, store->error ? "fail" :
							   store->status.mode);
	output_set_number(output, row, SIZE, store->status.total * chunk_bytes);
	output_set_number(output, row, USED, store->status.used * chunk_bytes);
	output_set_number(output, row, CLEAN,
			  store->status.clean * chunk_bytes);
	output_set_text(output, row, LAYERS, NULL);
	output_set_text(output, row, JOB, NULL);
	output_set_text(output, row, DEVICE,
			device_path(store->major, store->minor, path));
	return row;
}

/* One that went down meanwhile, or whose store has failed, has none to show. */
static const char *find_job_state(const struct volume *volume, bool json,
				  struct stack_status *status)
{
	bool known = volume->stack ?
			     !stack_status(volume->stack->name, status) :
			     volume->store && !volume_record(volume, status);

	if (!known || !status->job.state[0])
		return NULL;
	/* Programs are told what is recorded, beside a state that says "down". */
	return json ? status->job.state :
		      job_state_shown(&status->job, volume->line.up);
}

static void add_volume(struct output *output, struct row *parent,
		       const struct volume *volume)
{
	struct stack_status status;
	u64 chunk_bytes = volume_chunk_bytes(volume);
	struct row *row = output_add_row(output, parent);
	char path[DEVICE_PATH];

	output_set_text(output, row, NAME, volume->name);
	output_set_text(output, row, TYPE, "volume");
	output_set_text(output, row, STATE, volume->line.up ? "up" : "down");
	output_set_number(output, row, SIZE,
			  volume->line.sectors << COWSTACK_SECTOR_SHIFT);
	output_set_number(output, row, USED, volume->line.used * chunk_bytes);
	output_set_number(output, row, CLEAN, volume->line.clean * chunk_bytes);
	output_set_number(output, row, LAYERS, volume->line.layers);
	output_set_text(output, row, JOB,
			find_job_state(volume, output_is_json(output), &status));
	output_set_text(output, row, DEVICE, volume_base_path(volume, path));
}

static void add_volumes(struct output *output, struct row *parent,
			const struct inventory *inventory,
			const struct store *store)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++)
		if (inventory->volumes[i].store == store)
			add_volume(output, parent, &inventory->volumes[i]);
}

enum exit_code command_list(const struct options *options)
{
	struct inventory inventory;
	struct output *output;
	enum exit_code code = inventory_load(&inventory);
	size_t i;

	if (code)
		return code;
	output = output_begin("stores", columns, ARRAY_SIZE(columns),
			      options->json);
	for (i = 0; i < inventory.store_count; i++)
		add_volumes(output, add_store(output, &inventory.stores[i]),
			    &inventory, &inventory.stores[i]);
	add_volumes(output, NULL, &inventory, NULL);
	code = output_end(output);
	inventory_free(&inventory);
	return code;
}
