// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "layer_list.h"
#include "message.h"
#include "size.h"

enum { MOST_NAMED = 12, LAYER_TEXT = 32 + COWSTACK_NAME_SIZE };

enum exit_code layer_list_load(struct layer_list *list,
			       const struct volume *volume)
{
	memset(list, 0, sizeof(*list));
	list->volume = volume->name;
	return volume_layers(volume, &list->layers, &list->count);
}

void layer_list_free(struct layer_list *list)
{
	free(list->layers);
	list->layers = NULL;
	list->count = 0;
}

bool layer_is_top(const struct layer_line *layer)
{
	return !strcmp(layer->role, "top");
}

static bool layer_is_called(const struct layer_line *layer, const char *text)
{
	u64 id;

	if (!number_parse(text, U32_MAX, &id))
		return layer->id == id;
	return !strcmp(layer->name, text);
}

/* "7, 5 (monday), 4"; of a long chain the upper end. */
static void name_layers(const struct layer_list *list,
			char text[MOST_NAMED * LAYER_TEXT])
{
	size_t used = 0;
	size_t i;

	text[0] = '\0';
	for (i = 0; i < list->count && i < MOST_NAMED; i++) {
		const struct layer_line *layer = &list->layers[i];
		bool named = layer->name[0];

		used += snprintf(text + used, LAYER_TEXT, "%s%u%s%s%s",
				 i ? ", " : "", layer->id, named ? " (" : "",
				 layer->name, named ? ")" : "");
	}
}

enum exit_code layer_list_find(const struct layer_list *list, const char *text,
			       const struct layer_line **layer)
{
	char names[MOST_NAMED * LAYER_TEXT];
	size_t i;

	for (i = 0; i < list->count; i++) {
		*layer = &list->layers[i];
		if (layer_is_called(*layer, text))
			return EXIT_DONE;
	}
	*layer = NULL;
	name_layers(list, names);
	return fail(EXIT_MISSING, "%s has no layer %s; it has %s%s",
		    list->volume, text, names,
		    list->count > MOST_NAMED ?
		    " and older ones, see dmcommit layers" : "");
}

enum exit_code layer_list_find_frozen(const struct layer_list *list,
				      const char *text,
				      const struct layer_line **layer)
{
	enum exit_code code = layer_list_find(list, text, layer);

	if (!code && layer_is_top(*layer))
		return fail(EXIT_REFUSED,
			    "layer %s is the top of %s and still written to; dmcommit snapshot freezes it",
			    text, list->volume);
	return code;
}

const struct layer_line *layer_list_newest_frozen(const struct layer_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!strcmp(list->layers[i].role, "frozen") &&
		    list->layers[i].id)
			return &list->layers[i];
	return NULL;
}

const struct layer_line *layer_list_pinned(const struct layer_list *list,
					   u32 top, u32 base)
{
	size_t i;

	for (i = list->count; i-- > 0;)
		if (list->layers[i].pinned && list->layers[i].id > base &&
		    list->layers[i].id <= top)
			return &list->layers[i];
	return NULL;
}
