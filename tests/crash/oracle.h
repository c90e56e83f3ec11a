/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each 512-byte sector of each volume may hold.
 *
 * Every write has a version of its own, and the content of a sector is a function
 * of volume, sector and version, all 512 bytes of it.  Version 0 is zeroes.  After
 * a cut a sector may hold what was last flushed, or anything submitted since.
 */
#ifndef COWSTACK_CRASH_ORACLE_H
#define COWSTACK_CRASH_ORACLE_H

#include "disk.h"

#ifndef __printf
#define __printf(text, first) \
	__attribute__((__format__(__printf__, \
				  text, first)))
#endif

enum {
	VOLUMES = 2,
	VOLUME_SECTORS = 1024,
	VERSION_UNKNOWN = 0xffffffff,
};

enum operation {
	OPERATION_WRITE,
	OPERATION_ZERO,
	OPERATION_MAYBE_ZERO,		/* a discard that need not do anything */
};

void pattern_make(void *sector, unsigned int volume, u32 number, u32 version);
bool pattern_is_one(const void *sector);
/* Of a sector that is one pattern. */
u32 pattern_version(const void *sector);

/* Versions as before any work: the base's own content, one version everywhere. */
u32 oracle_reset(void);

/*
 * Begins an operation on sectors that no other has in hand; false: some are in
 * use.  The handle is for oracle_end().
 */
bool oracle_begin(unsigned int volume, enum operation kind, u32 first,
		  u32 count, u32 *handle, u32 *version);
/* @durable: it was acknowledged as that by itself. */
void oracle_end(unsigned int volume, u32 handle, bool done, bool durable);
/* Before its end: a discard, being advice, has done nothing, or not all of it. */
void oracle_doubt(u32 handle);

/* Is a write of @version under way? */
bool oracle_is_in_flight(u32 version);

/* What is acknowledged now is durable once a flush that begins now has ended. */
u32 oracle_clock(void);
void oracle_flushed(unsigned int volume, u32 clock);

/* Reserves sectors for a look at them, as they are now; false: in use. */
bool oracle_begin_read(unsigned int volume, u32 first, u32 count);
/* Checks what was read, and gives the sectors back; @data NULL: nothing was. */
void oracle_end_read(unsigned int volume, u32 first, u32 count,
		     const u8 *data);

/* The volume after a cut, all of it; what is seen is what is known from then on. */
void oracle_check_volume(unsigned int volume, const u8 *data);
/*
 * For a replay: a run of requests is being recorded, of which so many were served.
 * From the first call on what happens to an operation is noted with that time.
 */
void oracle_set_time(u32 time);
/* The same look, after a cut at that time; nothing is learned from it. */
void oracle_check_volume_at(unsigned int volume, const u8 *data, u32 time);
/* Once both volumes were checked. */
void oracle_forget_operations(void);

/* With no operation under way: what the volume holds, for later. */
void oracle_copy(unsigned int volume, u32 *versions);
/* Sectors of the medium @data must be those, where known. */
void oracle_check_base(unsigned int volume, const u8 *data,
		       const u32 *versions);
/* Are they? */
bool oracle_base_is(unsigned int volume, const u8 *data, const u32 *versions);

/* What was found to be wrong, in a few words; NULL: nothing. */
const char *oracle_finding(void);
__printf(2, 3)
void oracle_report(const char *what, const char *format, ...);
/* For the figures at the end. */
u64 oracle_operations(void);
u64 oracle_doubts(void);
u64 oracle_sectors_at_stake(unsigned int volume);
/* Is that more than none in each volume? */
bool oracle_all_are_at_stake(void);

#endif /* COWSTACK_CRASH_ORACLE_H */
