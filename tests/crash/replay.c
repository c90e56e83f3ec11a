// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "aim.h"
#include "job_view.h"
#include "mapper.h"
#include "offline.h"
#include "replay.h"
#include "spent.h"
#include "stacks.h"
#include "workload.h"

enum {
	MILLISECOND = 1000,
	REQUESTS = 160,			/* of one run */
	RUN_SECONDS = 30,
	ALL_LOST = (1 << MAX_DISKS) - 1,
	SOME_SURVIVE = 1 << MAX_DISKS,	/* of what the disks hold */
};

struct recorded {
	struct disk_request request;
	u8 *data;
};

/* A disk as it was after so many requests. */
struct past_disk {
	struct disk *disk;
	u8 *image;
	u8 *medium;
	u8 *pending;			/* sectors that differ, maybe */
	unsigned int pending_count;
};

static struct {
	struct random *random;
	struct recorded *list;		/* of REQUESTS at most */
	u32 count;
	struct past_disk past[MAX_DISKS];
	u8 *content;			/* of one disk, being made up */
	unsigned int runs, boundaries, states;
	unsigned int lost[MAX_DISKS];	/* states in which it lost something, … */
	unsigned int alone[MAX_DISKS];	/* … it alone */
	unsigned int commits, streams, emptied;	/* begun while a run was recorded */
} replay;

/* --- recording --- */

/* The power's lock is held. */
static void record(const struct disk_request *request)
{
	struct recorded *r = &replay.list[replay.count];
	size_t bytes = request->sectors * DISK_SECTOR;

	/* What is answered from here on may stand on this one, which is not kept. */
	if (replay.count == REQUESTS) {
		oracle_set_time(2 + REQUESTS);
		return;
	}
	r->request = *request;
	r->data = NULL;
	if (request->op == DISK_WRITE) {
		r->data = malloc(bytes);
		memcpy(r->data, request->data, bytes);
	}
	replay.count++;
	oracle_set_time(1 + replay.count);
}

static void begin_past(void)
{
	struct disk *disks[MAX_DISKS] = { &store_disk, &base_disks[0],
					  &base_disks[1] };
	unsigned int i;

	for (i = 0; i < MAX_DISKS; i++) {
		struct past_disk *past = &replay.past[i];
		size_t bytes = disks[i]->sectors * DISK_SECTOR;

		past->disk = disks[i];
		if (!past->image) {
			past->image = malloc(bytes);
			past->medium = malloc(bytes);
			past->pending = malloc(disks[i]->sectors);
		}
		memcpy(past->image, disk_peek(disks[i], 0), bytes);
		memcpy(past->medium, past->image, bytes);
		memset(past->pending, 0, disks[i]->sectors);
		past->pending_count = 0;
	}
}

static bool is_recorded(void)
{
	return READ_ONCE(replay.count) == REQUESTS;
}

/* A refusal is as good: not all is possible all the time. */
static unsigned int tell(unsigned int volume, const char *message)
{
	return !mapper_message(strrchr(stack_paths[volume], '/') + 1, message);
}

/* What a commit has left clean copies in. */
static void empty_layers(unsigned int volume)
{
	struct layer_list list;
	char text[32];
	unsigned int i;

	if (layers_view(volume, &list))
		return;
	for (i = 1; i < list.count; i++) {
		if (!list.layer[i].clean)
			continue;
		snprintf(text, sizeof(text), "make_empty %u", list.layer[i].id);
		replay.emptied += tell(volume, text);
		snprintf(text, sizeof(text), "drop %u", list.layer[i].id);
		tell(volume, text);
	}
}

static void begin_job(unsigned int volume)
{
	switch (random_below(replay.random, 4)) {
	case 0:
		replay.streams += tell(volume, "stream start yield 0");
		break;
	case 1:
		replay.commits += tell(volume, "commit start retain 1 yield 0");
		break;
	default:
		workload_pause();
		replay.commits += !stacks_commit(volume, true, "");
		workload_resume();
	}
}

static void tend(void)
{
	unsigned int v = random_below(replay.random, VOLUMES);
	struct stack_view view;

	if (stacks_view(v, &view))
		return;
	if (!view.running && random_percent(replay.random, 25))
		empty_layers(v);
	else if (!view.running && random_percent(replay.random, 45))
		begin_job(v);
	else if (view.layers < 6 && random_percent(replay.random, 30))
		stacks_snapshot(v);
}

/* Users, snapshots and jobs, until there are requests enough. */
static void record_run(void)
{
	struct workload_options work = {
		.seed = random_next(replay.random),
		.fua_percent = 10, .flush_percent = 20, .discard_percent = 8,
		.most_sectors = 64, .chunk_sectors = 16, .rest_us = 8000,
	};
	double end = spent_now() + RUN_SECONDS;

	replay.count = 0;
	/* Nothing is under way: the store is new. */
	power_record(record);
	begin_past();
	oracle_set_time(1);
	workload_start(stack_paths, &work);
	while (!is_recorded() && spent_now() < end) {
		tend();
		usleep(4 * MILLISECOND);
	}
	/* Nothing is answered any more that was not recorded, or came too late for it. */
	power_fail();
	power_record(NULL);
	workload_stop();
	stacks_take_down();
}

/* --- what was --- */

/* What a discarded sector reads as, as on the disk itself. */
static void put(u8 *image, const struct recorded *r, u64 i)
{
	u8 *to = image + (r->request.sector + i) * DISK_SECTOR;

	if (r->data)
		memcpy(to, r->data + i * DISK_SECTOR, DISK_SECTOR);
	else
		disk_poison(to, r->request.sector + i);
}

static void make_pending(struct past_disk *past, u64 sector, bool pending)
{
	past->pending_count += pending - past->pending[sector];
	past->pending[sector] = pending;
}

static void flush(struct past_disk *past)
{
	u64 s;

	for (s = 0; s < past->disk->sectors && past->pending_count; s++) {
		if (!past->pending[s])
			continue;
		memcpy(past->medium + s * DISK_SECTOR,
		       past->image + s * DISK_SECTOR, DISK_SECTOR);
		make_pending(past, s, false);
	}
}

static void advance(const struct recorded *r)
{
	struct past_disk *past = &replay.past[r->request.disk->number];
	u64 i;

	if (r->request.op == DISK_FLUSH)
		flush(past);
	for (i = 0; i < r->request.sectors && r->request.op != DISK_FLUSH; i++) {
		put(past->image, r, i);
		if (r->request.fua)
			put(past->medium, r, i);
		make_pending(past, r->request.sector + i, !r->request.fua);
	}
}

/* --- one state --- */

static void restore(struct past_disk *past, bool loses, bool in_part)
{
	struct disk *disk = past->disk;
	u64 s;

	if (!loses || !in_part) {
		disk_restore(disk, loses ? past->medium : past->image);
		return;
	}
	memcpy(replay.content, past->medium, disk->sectors * DISK_SECTOR);
	for (s = 0; s < disk->sectors; s++)
		if (past->pending[s] && random_percent(replay.random, 50))
			memcpy(replay.content + s * DISK_SECTOR,
			       past->image + s * DISK_SECTOR, DISK_SECTOR);
	disk_restore(disk, replay.content);
}

static void look(u32 time, unsigned int losers)
{
	unsigned int i;

	for (i = 0; i < MAX_DISKS; i++)
		restore(&replay.past[i], losers >> i & 1, losers & SOME_SURVIVE);
	losers &= ALL_LOST;
	replay.states++;
	for (i = 0; i < MAX_DISKS; i++) {
		replay.lost[i] += losers >> i & 1;
		replay.alone[i] += losers == 1u << i;
	}
	power_on();
	alarm(4 * RUN_SECONDS);
	offline_check();
	if (!oracle_finding() && !stacks_bring_up())
		stacks_check_at(1 + time);
	if (oracle_finding())
		printf("# replay: run %u, before request %u, caches lost: %#x\n",
		       replay.runs, time, losers);
	stacks_take_down();
}

/* Each disk that has something to lose does and does not. */
static void look_at_boundary(u32 time)
{
	unsigned int i, losers, may_lose = 0;

	for (i = 0; i < MAX_DISKS; i++)
		if (replay.past[i].pending_count)
			may_lose |= 1u << i;
	replay.boundaries++;
	for (losers = 0; losers <= ALL_LOST && !oracle_finding(); losers++)
		if (!(losers & ~may_lose))
			look(time, losers);
	if (may_lose && !oracle_finding())
		look(time, may_lose | SOME_SURVIVE);
}

static bool is_boundary(const struct recorded *r)
{
	return r->request.op == DISK_FLUSH || r->request.fua;
}

static void walk(void)
{
	u32 i;

	for (i = 0; i < replay.count && !oracle_finding(); i++) {
		if (is_boundary(&replay.list[i]))
			look_at_boundary(i);
		advance(&replay.list[i]);
	}
	if (!oracle_finding())
		look_at_boundary(replay.count);
	for (i = 0; i < replay.count; i++)
		free(replay.list[i].data);
}

bool replay_each_was_alone(void)
{
	return replay.alone[0] && replay.alone[1] + replay.alone[2];
}

bool replay_all_was_begun(void)
{
	return replay.commits && replay.streams && replay.emptied;
}

/* A run in which nobody got as far as a commit is followed by others. */
static bool has_enough(unsigned int states)
{
	bool has_all = replay_each_was_alone() &&
		       (states < REPLAY_MANY || replay_all_was_begun());

	return replay.states >= states &&
	       (has_all || replay.states >= 5 * states);
}

void replay_run(unsigned int states, struct random *random)
{
	unsigned int v;

	if (!states)
		return;
	replay.random = random;
	replay.list = calloc(REQUESTS, sizeof(*replay.list));
	replay.content = malloc(STORE_DISK_SECTORS * DISK_SECTOR);
	while (!has_enough(states) && !oracle_finding()) {
		for (v = 0; v < VOLUMES; v++)
			stacks_set_features(v, "");
		stacks_format(16, 6144, "2 on_full error");
		power_on();
		if (stacks_bring_up() || stacks_check())
			break;
		replay.runs++;
		record_run();
		/* What is looked at stands still. */
		for (v = 0; v < VOLUMES; v++)
			stacks_set_features(v, " 2 resume_commit 0");
		walk();
		oracle_set_time(0);
	}
	alarm(0);
	free(replay.list);
	free(replay.content);
}

unsigned int replay_states(void)
{
	return replay.states;
}

void replay_print(void)
{
	unsigned int i;

	printf("# %u runs of %u requests, %u flushes and FUA writes; lost what it held:",
	       replay.runs, REQUESTS, replay.boundaries);
	for (i = 0; i < MAX_DISKS; i++)
		printf(" %s %u (alone %u)", replay.past[i].disk->name,
		       replay.lost[i], replay.alone[i]);
	printf("\n# begun in them: %u commits, %u streams; %u layers were emptied\n",
	       replay.commits, replay.streams, replay.emptied);
}
