/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Simulated disks with volatile write caches, seen by the kernel as /dev/nbdN.
 *
 * Why not null_blk, which has cache_size and power: it sends a write to a page
 * that has been flushed before straight to the medium (null_insert_page() takes
 * whatever page is there), so rewritten data is never at risk; and its cache is
 * lost as a whole or not at all.  Here each 512-byte sector that was not flushed
 * may or may not outlive a cut by itself, each disk loses its cache alone, what
 * was discarded reads as garbage, answers may overtake each other, and a cut falls
 * on a request that is known.
 *
 * A cut: from then on every request of every disk fails and has no effect, until
 * power_on().
 */
#ifndef COWSTACK_CRASH_DISK_H
#define COWSTACK_CRASH_DISK_H

#include <pthread.h>

#include "core/environment.h"
#include "random.h"

enum {
	DISK_SECTOR = 512,
	MAX_DISKS = 3,
};

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD };

struct disk {
	const char *name;
	char path[32];
	unsigned int node;		/* /dev/nbdN */
	bool pulled;
	unsigned int number;
	u64 sectors;
	unsigned int block;		/* sectors: reads, writes and tears as a whole */
	u8 *image;			/* as the kernel sees it */
	u8 *durable;			/* the medium */
	u32 *durable_at;		/* per sector: number of that write */
	struct cached_write *cache;	/* not flushed, oldest first */
	u32 cached;
	u32 cache_room;
	u64 reads, writes, flushes, discards;
	struct random random;		/* of the server's own */
	bool loses_flush;
	enum { HOLDS_NONE, HOLDS_NEXT, HOLDS_ONE } hold;
	enum disk_op held_op;
	unsigned int passing;		/* of these, before the one that is held */
	int fd;
	int socket;
	u8 *buffer;
	pthread_t server;
	pthread_t kernel;
};

struct disk_request {
	struct disk *disk;
	enum disk_op op;
	bool fua;
	u64 sector;
	u64 sectors;
	const u8 *data;			/* of a write */
};

enum disk_cut {
	CUT_NOT,
	CUT_HERE,
	CUT_TEARING,			/* a write is torn, more often than not */
	CUT_ERROR,			/* no cut: this request fails, nothing else does */
};

/* Asked before each request is served: does the power fail here? */
typedef enum disk_cut (*disk_watch_fn)(const struct disk_request *request);

/* Have disks that are opened from now on FUA?  Unless told, they have. */
void disk_set_fua(bool fua);
/* @block_bytes: of a logical block. */
int disk_open(struct disk *disk, const char *name, unsigned int number,
	      u64 sectors, unsigned int block_bytes);
void disk_close(struct disk *disk);
/* What the kernel's page cache holds of it, which a cut has made wrong. */
void disk_forget_pages(struct disk *disk);

/*
 * The disk is gone: its cache is lost, each request from now on fails, until it is
 * plugged in again, which may take another path.  Who has it open lets go of it first,
 * or the second time finds the device busy.
 */
void disk_pull(struct disk *disk);
/* As the watch may, in the midst of a request. */
void disk_pull_in_watch(struct disk *disk);
int disk_plug(struct disk *disk);
/* Is one gone, or has a request failed since that was forgotten? */
bool disk_has_erred(void);
void disk_forget_error(void);

/* So many of all writes and flushes are answered late; 20 unless told. */
void disk_set_late_percent(unsigned int percent);
/*
 * After @passing others of @op, a read or a flush, the next one of @disk is served when it is
 * released, and not before: with what is there then.  Others go past it.
 */
void disk_hold(struct disk *disk, enum disk_op op, unsigned int passing);
bool disk_holds(struct disk *disk);
void disk_release(struct disk *disk);
/* The next flush that @disk serves fails, and what lies in its cache is lost. */
void disk_lose_flush(struct disk *disk);

/* Past the cache, for setting things up and for looking at what is there. */
void disk_poke(struct disk *disk, u64 sector, const void *data, u64 sectors);
const u8 *disk_peek(const struct disk *disk, u64 sector);

/*
 * Asked like the watch, without a cut; true: this one request fails, and has any
 * effect or none.  NULL: none does.
 */
typedef bool (*disk_fault_fn)(const struct disk_request *request);
void disk_set_faults(disk_fault_fn fails);

/* Writes that a cut now would put at stake. */
u32 disk_cached(struct disk *disk);

/* What a discarded sector reads as: nothing that anyone has written. */
void disk_poison(u8 *to, u64 sector);
/* All of a disk: image and medium are that, the cache is empty. */
void disk_restore(struct disk *disk, const u8 *content);

/*
 * Every request that changes a disk, or orders changes, is passed to @record when it
 * has been served, all disks' in one order.  The caches are empty when that begins.
 */
typedef void (*disk_record_fn)(const struct disk_request *request);
void power_record(disk_record_fn record);

struct power_cut {
	bool stop;			/* the machine stopped, and its disks did not */
	u32 losers;			/* bits: disks that lose their caches */
	const char *applied;		/* what became of the request it fell on */
	bool torn;			/* some of its sectors were written, not all */
	u32 cached[MAX_DISKS];		/* writes at stake on each disk */
};

void power_init(u64 seed, disk_watch_fn watch);
bool power_is_on(void);
void power_on(void);
/* @losers: of the next cut; all of a cache that is not lost survives. */
void power_set_losers(u32 losers);
/*
 * No cut next time: the machine stops, and what lies in caches stays there, seen and not
 * durable, until it is flushed or a cut takes it.
 */
void power_set_stop(bool stops);
/* The disks hold another store by now: a cut finds nothing in them from before a stop. */
void power_forget_stop(void);
/* As the watch may, which is about to cut: @disk alone. */
void power_set_loser_in_watch(const struct disk *disk);
/* So many of the writes with CUT_TEARING are torn. */
void power_set_tearing(unsigned int percent);
/* A cut that falls on no request, unless there has been one already. */
void power_fail(void);
const struct power_cut *power_last_cut(void);

#endif /* COWSTACK_CRASH_DISK_H */
