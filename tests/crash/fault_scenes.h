/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is done while something fails, on the first of two volumes: one scene after the
 * other, by one thread, so that the same place is the same place each time.
 */
#ifndef COWSTACK_CRASH_FAULT_SCENES_H
#define COWSTACK_CRASH_FAULT_SCENES_H

#include "disk.h"
#include "fault_source.h"

struct fault_scene {
	const char *name;
	void (*prepare)(void);		/* nothing fails yet; all of it is up */
	void (*act)(void);
	bool after_cut;			/* act() finds what a power cut left */
	bool holds_all;			/* afterwards the top may hold all of the volume */
};

extern const struct fault_scene fault_scenes[];
extern const unsigned int fault_scene_count;

void scenes_init(void);

/* One scene with nothing failing: the places of @wanted sources. */
void scene_count(const struct fault_scene *scene,
		 const bool wanted[SOURCES], u64 counts[SOURCES]);

/*
 * One scene with the fault at place @n of @source.  Afterwards nothing that was
 * acknowledged may be lost, at once and after a load, the error must show, and what was
 * asked for must come to its end once asked for again.  @cut: the power goes when the scene
 * has ended, and nothing that was acknowledged as durable may be lost.
 *
 * Return: the fault came.
 */
bool scene_play(const struct fault_scene *scene, enum fault_source source,
		u64 n, bool cut);

/*
 * No fault: the machine stops in the step that lets go of a chunk, which may be in the
 * store's cache alone by then.  What comes up finds that chunk free, and others are written
 * until the store is full; then the power goes, and the step may be lost while they are not.
 */
void scene_play_stop(struct random *random);

/* Told to power_init(), for that. */
enum disk_cut scenes_watch(const struct disk_request *request);

#endif /* COWSTACK_CRASH_FAULT_SCENES_H */
