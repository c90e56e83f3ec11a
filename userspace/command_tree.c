// SPDX-License-Identifier: GPL-2.0
/*
 * What lies on what.  A base has the stores whose volumes lie on it; a volume its own
 * layers, the top first, and each layer the volumes that were cloned from it; what
 * lies on a stack stands under its volume.
 */
#include <stdio.h>

#include "commands.h"
#include "message.h"
#include "output.h"

enum { NAME, TYPE, STATE, SIZE, USED, CLEAN, DEVICE };

static const struct column columns[] = {
	[NAME] = { "NAME", "name", COLUMN_TREE },
	[TYPE] = { "TYPE", "type", COLUMN_TEXT },
	[STATE] = { "STATE", "state", COLUMN_STATE },
	[SIZE] = { "SIZE", "size_bytes", COLUMN_SIZE },
	[USED] = { "USED", "used_bytes", COLUMN_SIZE },
	[CLEAN] = { "CLEAN", "clean_bytes", COLUMN_SIZE },
	[DEVICE] = { "DEVICE", "device", COLUMN_TEXT },
};

struct tree_volume {
	const struct volume *volume;
	char base[DEVICE_PATH];		/* "": not known */
	struct tree_volume *under;	/* the volume whose stack is its base */
	struct layer_line *layers;	/* none of one that has failed */
	size_t count;
	/* Of its layers, those from here on are another's that was shown before. */
	size_t own;
	bool shown;
};

struct tree {
	struct output *output;
	struct tree_volume *volumes;
	size_t count;
};

static void show_volume(struct tree *tree, struct row *parent,
			struct tree_volume *v);

/* --- what there is --- */

static struct tree_volume *find_stack(struct tree *tree, unsigned int major,
				      unsigned int minor)
{
	size_t i;

	for (i = 0; i < tree->count; i++) {
		const struct mapped_device *stack =
			tree->volumes[i].volume->stack;

		if (stack && stack->major == major && stack->minor == minor)
			return &tree->volumes[i];
	}
	return NULL;
}

static void load_volume(struct tree *tree, struct tree_volume *v,
			const struct volume *volume)
{
	unsigned int major, minor;
	char path[DEVICE_PATH];

	snprintf(v->base, sizeof(v->base), "%s",
		 volume_base_path(volume, path));
	if (volume_base_number(volume, &major, &minor))
		v->under = find_stack(tree, major, minor);
	/* One that failed, or went meanwhile, is shown without. */
	volume_try_layers(volume, &v->layers, &v->count);
	v->own = v->count;
}

static enum exit_code load_tree(struct tree *tree,
				const struct inventory *inventory)
{
	size_t i;

	tree->volumes = calloc(inventory->volume_count + 1,
			       sizeof(*tree->volumes));
	if (!tree->volumes)
		return fail_errno(-ENOMEM, NULL, "tree");
	tree->count = inventory->volume_count;
	for (i = 0; i < tree->count; i++)
		tree->volumes[i].volume = &inventory->volumes[i];
	for (i = 0; i < tree->count; i++)
		load_volume(tree, &tree->volumes[i], &inventory->volumes[i]);
	return EXIT_DONE;
}

static void free_tree(struct tree *tree)
{
	size_t i;

	for (i = 0; i < tree->count; i++)
		free(tree->volumes[i].layers);
	free(tree->volumes);
}

/* --- layers and clones --- */

static bool has_layer(const struct tree_volume *v, u32 id)
{
	size_t i;

	/* Layer 0 stands for the base, and is everybody's. */
	for (i = 0; i < v->own && id; i++)
		if (v->layers[i].id == id)
			return true;
	return false;
}

/* The highest of its layers that is one of @other's own; or none, at its end. */
static size_t find_shared(const struct tree_volume *v,
			  const struct tree_volume *other)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		if (has_layer(other, v->layers[i].id))
			return i;
	return v->count;
}

/* Clones get the layers from which on down they are another's. */
static void find_own_layers(struct tree *tree)
{
	size_t i, j, shared;

	for (i = 0; i < tree->count; i++)
		for (j = 0; j < i; j++) {
			struct tree_volume *v = &tree->volumes[i];
			struct tree_volume *other = &tree->volumes[j];

			if (v->volume->store != other->volume->store)
				continue;
			shared = find_shared(v, other);
			v->own = min_t(size_t, v->own, shared);
		}
}

static bool is_clone_at(const struct tree_volume *v,
			const struct tree_volume *of, u32 layer)
{
	return v != of && v->own < v->count && v->layers[v->own].id == layer &&
	       v->volume->store == of->volume->store;
}

static void show_clones(struct tree *tree, struct row *row,
			const struct tree_volume *of, u32 layer)
{
	size_t i;

	for (i = 0; i < tree->count; i++)
		if (!tree->volumes[i].shown &&
		    is_clone_at(&tree->volumes[i], of, layer))
			show_volume(tree, row, &tree->volumes[i]);
}

static void show_layer(struct tree *tree, struct row *parent,
		       const struct tree_volume *v,
		       const struct layer_line *layer)
{
	u64 chunk_bytes = volume_chunk_bytes(v->volume);
	struct row *row = output_add_row(tree->output, parent);
	char name[LINE_NAME];
	bool named = layer->name[0];

	snprintf(name, sizeof(name), "%u%s%s%s", layer->id, named ? " (" : "",
		 layer->name, named ? ")" : "");
	output_set_text(tree->output, row, NAME, name);
	output_set_text(tree->output, row, TYPE, "layer");
	output_set_text(tree->output, row, STATE,
			layer->pinned ? "pinned" : layer->role);
	output_set_number(tree->output, row, USED, layer->used * chunk_bytes);
	output_set_number(tree->output, row, CLEAN, layer->clean * chunk_bytes);
	show_clones(tree, row, v, layer->id);
}

/* --- stores and bases --- */

static struct row *show_store(struct tree *tree, struct row *parent,
			      const struct store *store)
{
	struct row *row = output_add_row(tree->output, parent);
	u64 chunk_bytes = store ? store_chunk_bytes(store) : 0;
	char path[DEVICE_PATH];

	output_set_text(tree->output, row, NAME,
			store ? store->device.name : "?");
	output_set_text(tree->output, row, TYPE, "store");
	output_set_text(tree->output, row, STATE, store && !store->error ?
						  store->status.mode : "fail");
	if (!store)
		return row;
	output_set_number(tree->output, row, SIZE,
			  store->status.total * chunk_bytes);
	output_set_number(tree->output, row, USED,
			  store->status.used * chunk_bytes);
	output_set_number(tree->output, row, CLEAN,
			  store->status.clean * chunk_bytes);
	output_set_text(tree->output, row, DEVICE,
			device_path(store->major, store->minor, path));
	return row;
}

static bool is_root(const struct tree_volume *v)
{
	return !v->shown && !v->under && v->own == v->count;
}

/* Those on one base, or on one stack: each store with what it has of them. */
static void show_group(struct tree *tree, struct row *parent,
		       const struct tree_volume *under, const char *base)
{
	const struct store *store;
	struct row *row;
	size_t i, j;

	for (i = 0; i < tree->count; i++) {
		struct tree_volume *first = &tree->volumes[i];

		if (first->shown || first->under != under ||
		    first->own < first->count ||
		    (base && strcmp(first->base, base)))
			continue;
		store = first->volume->store;
		row = show_store(tree, parent, store);
		for (j = i; j < tree->count; j++) {
			struct tree_volume *v = &tree->volumes[j];

			if (!v->shown && v->under == under &&
			    v->own == v->count && v->volume->store == store &&
			    (!base || !strcmp(v->base, base)))
				show_volume(tree, row, v);
		}
	}
}

static void show_volume(struct tree *tree, struct row *parent,
			struct tree_volume *v)
{
	const struct volume *volume = v->volume;
	u64 chunk_bytes = volume_chunk_bytes(volume);
	struct row *row = output_add_row(tree->output, parent);
	char path[DEVICE_PATH] = "";
	size_t i;

	v->shown = true;
	if (volume->stack)
		device_path(volume->stack->major, volume->stack->minor, path);
	output_set_text(tree->output, row, NAME, volume->name);
	output_set_text(tree->output, row, TYPE, "volume");
	output_set_text(tree->output, row, STATE,
			volume->stack ? "up" : "down");
	output_set_number(tree->output, row, SIZE,
			  volume->line.sectors << COWSTACK_SECTOR_SHIFT);
	output_set_number(tree->output, row, USED,
			  volume->line.used * chunk_bytes);
	output_set_number(tree->output, row, CLEAN,
			  volume->line.clean * chunk_bytes);
	output_set_text(tree->output, row, DEVICE, path);
	for (i = 0; i < v->own; i++)
		show_layer(tree, row, v, &v->layers[i]);
	show_group(tree, row, v, NULL);
}

static void show_base(struct tree *tree, const struct tree_volume *first)
{
	const char *base_alone = first->volume->line.base_alone;
	struct row *row = output_add_row(tree->output, NULL);
	size_t i;

	/* Of a base that several lie on, each knows only what it did itself. */
	for (i = 0; i < tree->count; i++)
		if (&tree->volumes[i] != first && is_root(&tree->volumes[i]) &&
		    !strcmp(tree->volumes[i].base, first->base))
			base_alone = NULL;
	output_set_text(tree->output, row, NAME,
			first->base[0] ? first->base : "?");
	output_set_text(tree->output, row, TYPE, "base");
	output_set_text(tree->output, row, STATE, base_alone);
	show_group(tree, row, NULL, first->base);
}

static bool has_volumes(const struct inventory *inventory,
			const struct store *store)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++)
		if (inventory->volumes[i].store == store)
			return true;
	return false;
}

static void show_all(struct tree *tree, const struct inventory *inventory)
{
	size_t i;

	find_own_layers(tree);
	for (i = 0; i < tree->count; i++)
		if (is_root(&tree->volumes[i]))
			show_base(tree, &tree->volumes[i]);
	/* What changed while it was looked at, so that nothing is left out. */
	for (i = 0; i < tree->count; i++)
		if (!tree->volumes[i].shown)
			show_volume(tree, NULL, &tree->volumes[i]);
	for (i = 0; i < inventory->store_count; i++)
		if (!has_volumes(inventory, &inventory->stores[i]))
			show_store(tree, NULL, &inventory->stores[i]);
}

enum exit_code command_tree(const struct options *options)
{
	struct inventory inventory;
	struct tree tree = { };
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = load_tree(&tree, &inventory);
	if (!code) {
		tree.output = output_begin("tree", columns, ARRAY_SIZE(columns),
					   options->json);
		show_all(&tree, &inventory);
		code = output_end(tree.output);
	}
	free_tree(&tree);
	inventory_free(&inventory);
	return code;
}
