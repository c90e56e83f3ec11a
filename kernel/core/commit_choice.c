// SPDX-License-Identifier: GPL-2.0
#include "commit_choice.h"

/* What the rules are asked about. */
struct chooser {
	const struct cowstack_volume *volume;
	const struct cowstack_commit_request *request;
	struct cowstack_commit_choice *choice;
};

static const struct cowstack_layer *destination(const struct chooser *c)
{
	return c->request->destination;
}

/* Why a commit may take nothing from @layer, and put nothing into it; or NULL. */
static const char *reason_to_spare(const struct chooser *c,
				   const struct cowstack_layer *layer)
{
	if (layer->flags & COWSTACK_LAYER_PINNED)
		return "is pinned";
	if (cowstack_layer_is_shared(c->volume, layer))
		return "belongs to another volume too";
	if (layer != destination(c) && layer->id == c->request->commit_base)
		return "is the commit_base";
	return NULL;
}

/* Is @layer to be left alone?  Then the choice says so. */
static bool must_spare(const struct chooser *c,
		       const struct cowstack_layer *layer)
{
	const char *why = reason_to_spare(c, layer);

	if (!why)
		return false;
	c->choice->spared = layer;
	c->choice->why = why;
	return true;
}

/* The choice names the lowest such layer from @top down to above the destination. */
static bool find_spared(const struct chooser *c,
			const struct cowstack_layer *top)
{
	const struct cowstack_layer *layer;
	bool found = false;

	for (layer = top; layer != destination(c); layer = layer->parent)
		found |= must_spare(c, layer);
	return found;
}

static struct cowstack_layer *
find_bottom(struct cowstack_layer *top, const struct cowstack_layer *destination)
{
	while (top && top->parent != destination)
		top = top->parent;
	return top;
}

/* --- with a top that was asked for --- */

static enum cowstack_commit_obstacle choose_given_top(const struct chooser *c)
{
	struct cowstack_layer *top = c->request->top;

	c->choice->top = top;
	if (top == c->volume->top)
		return COWSTACK_COMMIT_TOP_WRITTEN;
	if (top == destination(c) || !find_bottom(top, destination(c)))
		return COWSTACK_COMMIT_TOP_NOT_ABOVE;
	if (!cowstack_layer_is_whole(c->volume, top))
		return COWSTACK_COMMIT_TOP_NOT_WHOLE;
	return find_spared(c, top) ? COWSTACK_COMMIT_TOP_SPARED :
				     COWSTACK_COMMIT_MAY_GO;
}

/* --- with one of its own choice --- */

/* Does a commit from @top down bring chunks back?  Clean copies stay; zeroes have none. */
static bool gives_room(const struct chooser *c,
		       const struct cowstack_layer *top)
{
	const struct cowstack_layer *layer;

	for (layer = top; layer != destination(c); layer = layer->parent)
		if (atomic64_read(&layer->map.used) >
		    atomic64_read(&layer->map.clean))
			return true;
	return false;
}

/*
 * Frozen layers that are there go first while writes wait for room, as soon as they
 * would give any.  Not those that a cancelled stream has taken from: part of what they
 * showed lies in the top.
 */
static bool frozen_go_first(const struct chooser *c)
{
	const struct cowstack_layer *frozen = c->volume->top->parent;

	return frozen != destination(c) && c->request->writes_wait &&
	       gives_room(c, frozen) && cowstack_layer_is_whole(c->volume, frozen);
}

static bool wants_snapshot(const struct chooser *c)
{
	return !cowstack_layer_is_empty(c->volume->top) && !frozen_go_first(c) &&
	       cowstack_volume_depth(c->volume) < COWSTACK_MAX_LAYERS;
}

/* Clean copies are committed already, and stay until make_empty. */
static bool holds_nothing(const struct chooser *c)
{
	const struct cowstack_layer *layer;

	for (layer = c->choice->top; layer != destination(c);
	     layer = layer->parent)
		if (!cowstack_layer_is_clean(layer))
			return false;
	return true;
}

/*
 * Is the destination mixed, though the layers may hold nothing more?  So it is when
 * a job was cancelled behind its last copy: another has only to say that it ended.
 */
static bool destination_is_mixed(const struct chooser *c)
{
	return destination(c) ?
		       destination(c)->flags & COWSTACK_LAYER_MIXED :
		       c->volume->info.mixed_top != COWSTACK_BASE_LAYER;
}

/* No snapshot is taken: with as many layers as there may be, or an empty top. */
static enum cowstack_commit_obstacle choose_frozen(const struct chooser *c)
{
	const struct cowstack_layer *written = c->volume->top;
	const struct cowstack_layer *top = c->choice->top;

	if (cowstack_layer_is_empty(written)) {
		c->choice->nothing = top == destination(c) ||
				     (holds_nothing(c) &&
				      !destination_is_mixed(c));
		return COWSTACK_COMMIT_MAY_GO;
	}
	/* What the top holds is to go right below it, and nothing can freeze it for that. */
	if (top == destination(c))
		return COWSTACK_COMMIT_NO_LAYER_LEFT;
	return cowstack_layer_is_whole(c->volume, top) ?
		       COWSTACK_COMMIT_MAY_GO : COWSTACK_COMMIT_REST_NOT_WHOLE;
}

static enum cowstack_commit_obstacle choose_own_top(const struct chooser *c)
{
	struct cowstack_commit_choice *choice = c->choice;
	struct cowstack_layer *top = c->volume->top;

	if (find_spared(c, top->parent)) {
		choice->top = choice->spared->parent;
		if (choice->top == destination(c))
			return COWSTACK_COMMIT_ALL_SPARED;
		return cowstack_layer_is_whole(c->volume, choice->top) ?
			       COWSTACK_COMMIT_MAY_GO :
			       COWSTACK_COMMIT_BELOW_NOT_WHOLE;
	}
	choice->snapshot = wants_snapshot(c);
	choice->top = choice->snapshot ? top : top->parent;
	return choice->snapshot ? COWSTACK_COMMIT_MAY_GO : choose_frozen(c);
}

/* --- both --- */

enum cowstack_commit_obstacle
cowstack_commit_choose(const struct cowstack_volume *volume,
		       const struct cowstack_commit_request *request,
		       struct cowstack_commit_choice *choice)
{
	const struct chooser c = {
		.volume = volume, .request = request, .choice = choice,
	};
	enum cowstack_commit_obstacle obstacle;

	memset(choice, 0, sizeof(*choice));
	if (request->destination == volume->top)
		return COWSTACK_COMMIT_INTO_TOP;
	if (request->destination && must_spare(&c, request->destination))
		return COWSTACK_COMMIT_INTO_SPARED;
	obstacle = request->top ? choose_given_top(&c) : choose_own_top(&c);
	if (!obstacle && !choice->nothing)
		choice->bottom = find_bottom(choice->top, request->destination);
	return obstacle;
}

bool cowstack_commit_may_go_on(const struct cowstack_volume *volume,
			       struct cowstack_layer *top,
			       const struct cowstack_layer *destination,
			       struct cowstack_layer **bottom)
{
	const struct cowstack_layer *layer;

	*bottom = find_bottom(top, destination);
	if (!*bottom || top == volume->top || top == destination)
		return false;
	for (layer = top; layer != destination; layer = layer->parent)
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return false;
	/* What is shared is so all the way down. */
	return !cowstack_layer_is_shared(volume, destination ? destination :
							       *bottom);
}
