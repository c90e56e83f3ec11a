// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "history.h"
#include "layer_content.h"
#include "mapper.h"
#include "stacks.h"

enum { LAYERS_KNOWN = 48 };		/* the latest of each volume */

struct content {
	u32 id;				/* 0: of none */
	u32 versions[VOLUME_SECTORS];
};

static struct {
	struct content layers[VOLUMES][LAYERS_KNOWN];
	unsigned int next[VOLUMES];
	struct content base[VOLUMES];
	struct content base_or[VOLUMES];	/* it may hold that instead */
	u32 highest_begun[VOLUMES];
	u64 bases_checked;
	u64 ended_unseen;		/* commits in doubt that had ended */
} known;

void layer_content_reset(void)
{
	unsigned int v, i;

	for (v = 0; v < VOLUMES; v++) {
		for (i = 0; i < LAYERS_KNOWN; i++)
			known.layers[v][i].id = 0;
		layer_content_base_is_unknown(v);
		known.highest_begun[v] = 0;
	}
}

static struct content *find(unsigned int volume, u32 id)
{
	unsigned int i;

	for (i = 0; i < LAYERS_KNOWN && id; i++)
		if (known.layers[volume][i].id == id)
			return &known.layers[volume][i];
	return NULL;
}

static struct content *find_or_add(unsigned int volume, u32 id)
{
	struct content *content = find(volume, id);

	if (content)
		return content;
	content = &known.layers[volume][known.next[volume]];
	known.next[volume] = (known.next[volume] + 1) % LAYERS_KNOWN;
	content->id = id;
	return content;
}

void layer_content_note(unsigned int volume, u32 id)
{
	oracle_copy(volume, find_or_add(volume, id)->versions);
}

void layer_content_forget(unsigned int volume, u32 id)
{
	struct content *content = find(volume, id);

	if (content)
		content->id = 0;
}

void layer_content_moved(unsigned int volume, u32 from, u32 to)
{
	struct content *content;

	if (!find(volume, from)) {
		layer_content_forget(volume, to);
		return;
	}
	content = find_or_add(volume, to);
	/* Adding one may have pushed the other out. */
	if (find(volume, from))
		memcpy(content->versions, find(volume, from)->versions,
		       sizeof(content->versions));
	else
		content->id = 0;
}

void layer_content_begun(unsigned int volume, u32 top)
{
	known.highest_begun[volume] = max(known.highest_begun[volume], top);
}

u32 layer_content_highest_begun(unsigned int volume)
{
	return known.highest_begun[volume];
}

void layer_content_now_in_base(unsigned int volume, u32 top)
{
	const struct content *content = find(volume, top);

	layer_content_base_is_unknown(volume);
	if (content)
		known.base[volume] = *content;
}

void layer_content_base_is_unknown(unsigned int volume)
{
	known.base[volume].id = 0;
	known.base_or[volume].id = 0;
}

void layer_content_in_doubt(unsigned int volume, u32 top, u32 base)
{
	const struct content *content = find(volume, top);
	unsigned int i;

	/* Three are too many to choose from. */
	if (!base && (!content || known.base_or[volume].id))
		layer_content_base_is_unknown(volume);
	else if (!base && known.base[volume].id)
		known.base_or[volume] = *content;
	for (i = 0; i < LAYERS_KNOWN; i++) {
		struct content *layer = &known.layers[volume][i];

		if (layer->id >= base && layer->id < top)
			layer->id = 0;
	}
}

/* One look at a base that is whole tells which of the two it was. */
static void settle_doubt(unsigned int volume, const u8 *data)
{
	struct content *other = &known.base_or[volume];

	if (other->id && oracle_base_is(volume, data, other->versions)) {
		known.base[volume] = *other;
		known.ended_unseen++;
	}
	other->id = 0;
}

/* For whoever looks for the reason of a finding. */
static void print_what_is_known(unsigned int volume)
{
	char text[8192];
	char *line;

	printf("# the base should be layer %u of volume %u; layers:\n",
	       known.base[volume].id, volume + 1);
	if (!mapper_status(strrchr(stack_paths[volume], '/') + 1, text,
			   sizeof(text)))
		printf("# %s\n", text);
	if (mapper_ask(strrchr(stack_paths[volume], '/') + 1, "layers", text,
		       sizeof(text)))
		return;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
	history_print(volume);
}

void layer_content_check_base(unsigned int volume, bool valid)
{
	const u8 *data = disk_peek(&base_disks[volume], 0);

	if (!valid)
		return;
	known.highest_begun[volume] = 0;
	settle_doubt(volume, data);
	if (!known.base[volume].id)
		return;
	oracle_check_base(volume, data, known.base[volume].versions);
	if (oracle_finding())
		print_what_is_known(volume);
	known.bases_checked++;
}

u64 layer_content_bases_checked(void)
{
	return known.bases_checked;
}

u64 layer_content_ended_unseen(void)
{
	return known.ended_unseen;
}
