// SPDX-License-Identifier: GPL-2.0
/* Which layers a commit takes: four frozen ones and the volume's top, as they may be. */
#include "chain_store.h"
#include "commit_choice.h"

#include "harness.h"

FIXTURE(choice) {
	struct chain_store s;
	struct cowstack_commit_request request;
	struct cowstack_commit_choice choice;
};

typedef FIXTURE_DATA(choice) choice_data;

FIXTURE_SETUP(choice)
{
	chain_open(&self->s);
}

FIXTURE_TEARDOWN(choice)
{
	chain_close(&self->s);
}

static enum cowstack_commit_obstacle choose(choice_data *self)
{
	return cowstack_commit_choose(self->s.volume, &self->request,
				      &self->choice);
}

/* With nothing in the way: from layer[@top] down to layer[@bottom]? */
static bool takes(choice_data *self, u32 top, u32 bottom, bool snapshot)
{
	return choose(self) == COWSTACK_COMMIT_MAY_GO && !self->choice.nothing &&
	       self->choice.top == self->s.layer[top] &&
	       self->choice.bottom == self->s.layer[bottom] &&
	       self->choice.snapshot == snapshot;
}

static bool spares(choice_data *self, enum cowstack_commit_obstacle obstacle,
		   u32 layer, const char *why)
{
	return choose(self) == obstacle &&
	       self->choice.spared == self->s.layer[layer] &&
	       !strcmp(self->choice.why, why);
}

static void give(choice_data *self, u32 layer)
{
	chain_give(&self->s, layer, 7 + layer, CHAIN_FULL_MASK, false);
}

static void pin(choice_data *self, u32 layer)
{
	self->s.layer[layer]->flags |= COWSTACK_LAYER_PINNED;
}

TEST_F(choice, all_of_it)
{
	give(self, 4);
	EXPECT_TRUE(takes(self, 4, 0, true));
	self->request.destination = self->s.layer[1];
	EXPECT_TRUE(takes(self, 4, 2, true));
	self->request.destination = self->s.layer[3];
	EXPECT_TRUE(takes(self, 4, 4, true));
}

TEST_F(choice, what_was_asked_for)
{
	give(self, 4);
	self->request.top = self->s.layer[2];
	EXPECT_TRUE(takes(self, 2, 0, false));
	self->request.destination = self->s.layer[0];
	EXPECT_TRUE(takes(self, 2, 1, false));
	self->request.destination = self->s.layer[1];
	EXPECT_TRUE(takes(self, 2, 2, false));
	/* Empty layers are to leave the chain, if somebody says so. */
	self->request.destination = NULL;
	self->request.top = self->s.layer[0];
	EXPECT_TRUE(takes(self, 0, 0, false));
}

TEST_F(choice, tops_that_are_none)
{
	self->request.top = self->s.layer[4];
	EXPECT_EQ(COWSTACK_COMMIT_TOP_WRITTEN, choose(self));
	EXPECT_EQ(self->s.layer[4], self->choice.top);
	self->request.top = self->s.layer[1];
	self->request.destination = self->s.layer[1];
	EXPECT_EQ(COWSTACK_COMMIT_TOP_NOT_ABOVE, choose(self));
	self->request.destination = self->s.layer[2];
	EXPECT_EQ(COWSTACK_COMMIT_TOP_NOT_ABOVE, choose(self));
	EXPECT_EQ(self->s.layer[1], self->choice.top);
	self->request.destination = NULL;
	self->s.layer[1]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_EQ(COWSTACK_COMMIT_TOP_NOT_WHOLE, choose(self));
	EXPECT_EQ(self->s.layer[1], self->choice.top);
}

TEST_F(choice, destinations_that_are_none)
{
	self->request.destination = self->s.layer[4];
	EXPECT_EQ(COWSTACK_COMMIT_INTO_TOP, choose(self));
	self->request.destination = self->s.layer[1];
	pin(self, 1);
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_INTO_SPARED, 1, "is pinned"));
	self->request.destination = self->s.layer[0];
	self->s.layer[0]->children = 2;
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_INTO_SPARED, 0,
			   "belongs to another volume too"));
}

/* The lowest one counts; with a top that was asked for it is in the way. */
TEST_F(choice, layers_to_be_left_alone)
{
	give(self, 4);
	pin(self, 3);
	self->request.commit_base = self->s.layer[2]->id;
	EXPECT_TRUE(takes(self, 1, 0, false));
	self->request.top = self->s.layer[3];
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_TOP_SPARED, 2,
			   "is the commit_base"));
	self->request.top = self->s.layer[1];
	EXPECT_TRUE(takes(self, 1, 0, false));
	/* As the destination it is no obstacle, and of what is below nothing is taken. */
	self->request.top = NULL;
	self->request.destination = self->s.layer[2];
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_ALL_SPARED, 3, "is pinned"));
	self->s.layer[3]->flags = COWSTACK_LAYER_FROZEN;
	EXPECT_TRUE(takes(self, 4, 3, true));
	/* What is shared is so all the way down. */
	self->request.destination = NULL;
	self->request.commit_base = COWSTACK_BASE_LAYER;
	self->s.layer[2]->children = 2;
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_ALL_SPARED, 0,
			   "belongs to another volume too"));
}

TEST_F(choice, what_is_below_a_spared_one_must_be_whole)
{
	pin(self, 3);
	self->s.layer[2]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_TRUE(spares(self, COWSTACK_COMMIT_BELOW_NOT_WHOLE, 3,
			   "is pinned"));
	EXPECT_EQ(self->s.layer[2], self->choice.top);
}

/* Clean copies are committed already; a mark wants a commit that ends. */
TEST_F(choice, nothing_to_do)
{
	EXPECT_EQ(COWSTACK_COMMIT_MAY_GO, choose(self));
	EXPECT_TRUE(self->choice.nothing);
	EXPECT_EQ(NULL, self->choice.bottom);
	chain_give(&self->s, 2, 5, CHAIN_FULL_MASK, true);
	EXPECT_EQ(COWSTACK_COMMIT_MAY_GO, choose(self));
	EXPECT_TRUE(self->choice.nothing);
	self->s.volume->info.mixed_top = self->s.layer[3]->id;
	EXPECT_TRUE(takes(self, 3, 0, false));
	self->request.destination = self->s.layer[0];
	EXPECT_EQ(COWSTACK_COMMIT_MAY_GO, choose(self));
	EXPECT_TRUE(self->choice.nothing);
	self->s.layer[0]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_TRUE(takes(self, 3, 1, false));
	self->request.destination = self->s.layer[3];
	EXPECT_EQ(COWSTACK_COMMIT_MAY_GO, choose(self));
	EXPECT_TRUE(self->choice.nothing);
	self->request.destination = NULL;
	self->s.volume->info.mixed_top = COWSTACK_BASE_LAYER;
	give(self, 1);
	EXPECT_TRUE(takes(self, 3, 0, false));
}

/* While writes wait for room, frozen layers go before another is made. */
TEST_F(choice, room_first)
{
	give(self, 4);
	self->request.writes_wait = true;
	EXPECT_TRUE(takes(self, 4, 0, true));
	give(self, 1);
	EXPECT_TRUE(takes(self, 3, 0, false));
	self->request.destination = self->s.layer[1];
	EXPECT_TRUE(takes(self, 4, 2, true));
	self->request.destination = NULL;
	self->s.layer[3]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_TRUE(takes(self, 4, 0, true));
}

TEST_F(choice, no_more_layers)
{
	give(self, 4);
	while (cowstack_volume_depth(self->s.volume) < COWSTACK_MAX_LAYERS)
		ASSERT_EQ(0, chain_snapshot(&self->s, NULL));
	self->s.layer[4] = self->s.volume->top;
	self->s.layer[3] = self->s.volume->top->parent;
	EXPECT_TRUE(takes(self, 3, 0, false));
	give(self, 4);
	EXPECT_TRUE(takes(self, 3, 0, false));
	self->request.destination = self->s.layer[3];
	EXPECT_EQ(COWSTACK_COMMIT_NO_LAYER_LEFT, choose(self));
	self->request.destination = NULL;
	self->s.layer[3]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_EQ(COWSTACK_COMMIT_REST_NOT_WHOLE, choose(self));
	EXPECT_EQ(self->s.layer[3], self->choice.top);
}

/* --- a commit that was begun --- */

static bool may_go_on(choice_data *self, u32 top, const struct cowstack_layer *to,
		      u32 bottom)
{
	struct cowstack_layer *lowest;

	return cowstack_commit_may_go_on(self->s.volume, self->s.layer[top], to,
					 &lowest) &&
	       lowest == self->s.layer[bottom];
}

TEST_F(choice, a_commit_goes_on)
{
	struct chain_store *s = &self->s;

	EXPECT_TRUE(may_go_on(self, 3, NULL, 0));
	EXPECT_TRUE(may_go_on(self, 3, s->layer[1], 2));
	/* It has made them so itself. */
	s->layer[2]->flags |= COWSTACK_LAYER_MIXED;
	EXPECT_TRUE(may_go_on(self, 3, s->layer[1], 2));
	/* It is of before the pin, and puts nothing there that would show. */
	pin(self, 1);
	EXPECT_TRUE(may_go_on(self, 3, s->layer[1], 2));
	EXPECT_FALSE(may_go_on(self, 3, NULL, 0));
	EXPECT_FALSE(may_go_on(self, 3, s->layer[0], 1));
}

TEST_F(choice, records_that_make_no_sense)
{
	struct chain_store *s = &self->s;
	struct cowstack_layer *bottom;

	EXPECT_FALSE(cowstack_commit_may_go_on(s->volume, NULL, NULL, &bottom));
	EXPECT_FALSE(may_go_on(self, 4, NULL, 0));
	EXPECT_FALSE(may_go_on(self, 2, s->layer[2], 2));
	EXPECT_FALSE(may_go_on(self, 1, s->layer[2], 0));
	s->layer[1]->children = 2;
	EXPECT_FALSE(may_go_on(self, 3, NULL, 0));
	EXPECT_FALSE(may_go_on(self, 3, s->layer[1], 2));
	EXPECT_TRUE(may_go_on(self, 3, s->layer[2], 3));
}

TEST_HARNESS_MAIN
