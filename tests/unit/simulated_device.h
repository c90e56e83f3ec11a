/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Disks in memory, each with a volatile write cache, behind one power switch.
 *
 * What is written enters the cache and is seen by reads at once.  A flush takes
 * to the medium what was complete when it was sent.  A power cut takes there any
 * subset, sector by sector, of what the cache holds; each device's cache is lost
 * on its own.  From then on the devices ignore all writes until the power is
 * back, so that whoever drives them need not notice in mid-operation.
 *
 * An I/O may fail: a chosen one, of which any part of a write lands; all of a device
 * that is pulled; and of a thin one a write that needs room where there is none.
 *
 * A sector of data is its version number: its first eight bytes, little-endian, so
 * that a seed leaves the same bytes on every machine.  A device that holds metadata
 * too has sectors of 512 bytes, one that does not of eight.
 */
#ifndef COWSTACK_UNIT_SIMULATED_DEVICE_H
#define COWSTACK_UNIT_SIMULATED_DEVICE_H

#include "environment.h"
#include "random.h"

enum crash_phase {
	PHASE_WORK,
	PHASE_SNAPSHOT,
	PHASE_GATHER,
	PHASE_WRITE,
	PHASE_FLUSH,
	PHASE_LET_GO,
	PHASE_CHECKPOINT,
	PHASE_RECOVERY,
	PHASE_COUNT,
};

extern const char *const crash_phase_name[PHASE_COUNT];

enum { POWER_MAX_DEVICES = 8 };

struct simulated_device;

struct power {
	struct random *random;
	u64 countdown;		/* I/Os until the cut; 0: none is planned */
	u32 long_step;		/* or in a write of as many blocks; 0: not */
	bool dead;
	enum crash_phase phase;
	enum crash_phase target; /* count only I/Os of it; PHASE_COUNT: all */
	/*
	 * The cut leaves caches as they are: whoever asked for that decides what
	 * survives, with device_keep().
	 */
	bool keeps_caches;
	u64 failing_in;		/* I/Os until one fails; 0: none will */
	u64 pulling_in;		/* I/Os until .pulled is; 0: it is not */
	struct simulated_device *pulled;
	u64 errors;
	u64 cuts[PHASE_COUNT];
	u64 ios;
	struct simulated_device *devices[POWER_MAX_DEVICES];
	unsigned int device_count;
};

/* One sector in the cache. */
struct cached_write {
	u32 sector;
	u32 bytes;		/* 8 or 512; 0: overtaken, means nothing */
	u64 ticket;		/* in flight under this number; 0: complete */
	u64 io;			/* sectors of one I/O have one number */
	u64 version;		/* where bytes is 8 */
	u32 data;		/* else: place in device.data */
};

/* What a sector of the medium was before it was written. */
struct overwritten {
	u32 sector;
	u8 bytes[512];
};

/* Not thin: there is always room. */
#define DEVICE_NOT_THIN (~0ULL)

struct simulated_device {
	struct power *power;
	u32 stride;		/* bytes of a sector in the images: 8 or 512 */
	u64 sectors;
	u64 room;		/* sectors that the images have room for */
	u8 *medium;
	u8 *view;		/* the medium with the cache over it */
	struct cached_write *cache;
	u32 cached;
	u32 cache_room;
	u8 *data;
	u32 data_used;
	u32 data_room;
	u8 *touched;		/* by eight sectors: not zero any more */
	u32 *touched_list;
	u32 touched_count;
	bool gone;		/* pulled */
	unsigned int landing;	/* percent of the sectors of the I/O being sent */
	u64 thin_blocks;	/* more, of eight sectors, that there is room for */
	bool recording;		/* since device_mark() */
	struct overwritten *undo;
	u32 undo_count;
	u32 undo_room;
};

/* @room: the most sectors it will ever have.  Exits where memory is short. */
void device_init(struct simulated_device *device, struct power *power,
		 u32 stride, u64 room);
void device_exit(struct simulated_device *device);

/* A new device of zeroes with @sectors sectors. */
void device_reset(struct simulated_device *device, u64 sectors);

void device_write_version(struct simulated_device *device, u64 sector,
			  u64 version, u64 ticket);
u64 device_read_version(const struct simulated_device *device, u64 sector);

void device_write_block(struct simulated_device *device, u64 block,
			const void *bytes);
void device_read_blocks(const struct simulated_device *device, u64 first,
			u64 blocks, void *bytes);

/* The write in flight as @ticket is complete: flushes cover it from now on. */
void device_complete(struct simulated_device *device, u64 ticket);

/*
 * An I/O is about to be sent: a place where the power may be cut.  Return: 0, or
 * the error that it will end with.  The sectors of a write are written after that
 * all the same, and land as they do.
 */
int device_send(struct simulated_device *device);
/* The same for a write, for which a thin device needs room. */
int device_send_write(struct simulated_device *device, u64 sector, u64 count);

int device_flush(struct simulated_device *device);

/*
 * Writes blocks FUA, with PREFLUSH if @preflush: block @i to @places[i].  The
 * power may be cut before, between the two, or in the middle of the writing.
 */
int device_write_durably(struct simulated_device *device, bool preflush,
			 const u64 *places, const void *const *blocks,
			 u32 count);

/* A thin device has room for these blocks of 4 KiB. */
void device_provision(struct simulated_device *device, u64 first, u64 count);

/* All that is in the cache is durable: no I/O of ours. */
void device_settle(struct simulated_device *device);
/* It was pulled, and is back: with its cache, or with what was durable. */
void device_return(struct simulated_device *device, bool keeps_cache);

/* --- one medium after another, out of one cache --- */

/* The cache is taken away; what was durable is what there is from now on. */
void device_take_cache(struct simulated_device *device,
		       struct cached_write **cache, u32 *count, u8 **data);
/* One of these survives. */
void device_keep(struct simulated_device *device,
		 const struct cached_write *write, const u8 *data);
/* The cache is empty; device_rewind() leads back to here. */
void device_mark(struct simulated_device *device);
void device_rewind(struct simulated_device *device);
void device_unmark(struct simulated_device *device);

void power_cut(struct power *power);
/*
 * After a cut with keeps_caches: what was on its way to the devices arrives, and is to be
 * lost with their caches at a later cut.  It was the machine that stopped.
 */
void power_settle(struct power *power);
void power_restore(struct power *power);

#endif /* COWSTACK_UNIT_SIMULATED_DEVICE_H */
