// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "oracle.h"

enum { WORDS = DISK_SECTOR / sizeof(u64), REPORTS = 8 };

struct log_entry {
	enum operation kind;
	unsigned int volume;
	u32 first;
	u32 count;
	u32 version;
	u32 acknowledged;		/* at this time; 0: not */
	bool durable;			/* by itself */
	bool ended;
	u32 begun_at;			/* of a run that is recorded */
	u32 ended_at;
};

struct flush_entry {
	unsigned int volume;
	u32 clock;
	u32 at;
};

static struct {
	pthread_mutex_t lock;
	struct log_entry *log;		/* in the order of submission */
	u32 entries;
	u32 room;
	struct flush_entry *flushes;	/* of a run that is recorded */
	u32 flush_entries;
	u32 flush_room;
	u32 time;			/* in it; 0: none */
	u32 clock;			/* of acknowledgements */
	u32 next_version;
	u32 flushed[VOLUMES];		/* acknowledged by then is durable */
	u32 known[VOLUMES][VOLUME_SECTORS];	/* at the last check */
	u32 current[VOLUMES][VOLUME_SECTORS];	/* as acknowledged */
	u8 busy[VOLUMES][VOLUME_SECTORS];
	u64 operations;
	u64 doubts;
	const char *finding;
	unsigned int reports;
} oracle = { .lock = PTHREAD_MUTEX_INITIALIZER, .next_version = 1 };

/* --- content --- */

static u64 mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void pattern_make(void *sector, unsigned int volume, u32 number, u32 version)
{
	u64 *words = sector;
	u64 step, word;
	unsigned int i;

	if (!version) {
		memset(sector, 0, DISK_SECTOR);
		return;
	}
	words[0] = (u64)version << 32 | volume << 28 | number;
	step = mix(words[0]) | 1;
	for (i = 1, word = step; i < WORDS; i++, word += step)
		words[i] = word;
}

/* All of it, so that no mixture of two passes. */
bool pattern_is_one(const void *sector)
{
	const u64 *words = sector;
	u64 step = mix(words[0]) | 1, word = step;
	unsigned int i;

	for (i = 1; i < WORDS; i++, word += step)
		if (words[i] != word)
			return false;
	return true;
}

u32 pattern_version(const void *sector)
{
	const u64 *words = sector;

	return words[0] >> 32;
}

static bool is_zero(const void *sector)
{
	static const u8 zeroes[DISK_SECTOR];

	return !memcmp(sector, zeroes, DISK_SECTOR);
}

/* --- findings --- */

static void report(const char *what, const char *format, va_list arguments)
{
	if (!oracle.finding)
		oracle.finding = what;
	if (oracle.reports++ >= REPORTS)
		return;
	printf("# %s: ", what);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
}

/* Whoever holds the lock. */
__printf(2, 3)
static void report_locked(const char *what, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(what, format, arguments);
	va_end(arguments);
}

void oracle_report(const char *what, const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&oracle.lock);
	va_start(arguments, format);
	report(what, format, arguments);
	va_end(arguments);
	pthread_mutex_unlock(&oracle.lock);
}

const char *oracle_finding(void)
{
	const char *finding;

	pthread_mutex_lock(&oracle.lock);
	finding = oracle.finding;
	pthread_mutex_unlock(&oracle.lock);
	return finding;
}

/* The version that a sector holds; VERSION_UNKNOWN and a report if none. */
static u32 version_of(const u8 *sector, unsigned int volume, u32 number,
		      const char *where)
{
	const u64 *words = (const void *)sector;
	u32 place = volume << 28 | number;

	if (is_zero(sector))
		return 0;
	if (!pattern_is_one(sector)) {
		report_locked("garbage", "%s, volume %u, sector %u: %016llx %016llx ...",
			      where, volume + 1, number,
			      (unsigned long long)words[0],
			      (unsigned long long)words[1]);
		return VERSION_UNKNOWN;
	}
	if ((u32)words[0] != place) {
		report_locked("another sector's content",
			      "%s, volume %u, sector %u: holds volume %u, sector %u, version %u",
			      where, volume + 1, number,
			      ((u32)words[0] >> 28) + 1,
			      (u32)words[0] & 0xfffffff,
			      (u32)(words[0] >> 32));
		return VERSION_UNKNOWN;
	}
	return words[0] >> 32;
}

/* --- operations --- */

u32 oracle_reset(void)
{
	unsigned int v;
	u32 i;

	oracle.entries = 0;
	for (v = 0; v < VOLUMES; v++) {
		for (i = 0; i < VOLUME_SECTORS; i++) {
			oracle.known[v][i] = oracle.next_version;
			oracle.current[v][i] = oracle.next_version;
		}
		memset(oracle.busy[v], 0, sizeof(oracle.busy[v]));
		oracle.flushed[v] = 0;
	}
	return oracle.next_version++;
}

static bool reserve(unsigned int volume, u32 first, u32 count)
{
	u32 i;

	for (i = first; i < first + count; i++)
		if (oracle.busy[volume][i])
			return false;
	memset(oracle.busy[volume] + first, 1, count);
	return true;
}

static struct log_entry *add_entry(void)
{
	if (oracle.entries == oracle.room) {
		oracle.room = 2 * oracle.room + 1024;
		oracle.log = realloc(oracle.log,
				     oracle.room * sizeof(*oracle.log));
		if (!oracle.log)
			abort();
	}
	return &oracle.log[oracle.entries++];
}

bool oracle_begin(unsigned int volume, enum operation kind, u32 first,
		  u32 count, u32 *handle, u32 *version)
{
	struct log_entry *entry;
	bool free;

	pthread_mutex_lock(&oracle.lock);
	free = reserve(volume, first, count);
	if (free) {
		*handle = oracle.entries;
		entry = add_entry();
		*entry = (struct log_entry){
			.kind = kind, .volume = volume,
			.first = first, .count = count,
			.begun_at = READ_ONCE(oracle.time),
		};
		if (kind == OPERATION_WRITE)
			entry->version = oracle.next_version++;
		*version = entry->version;
		oracle.operations++;
	}
	pthread_mutex_unlock(&oracle.lock);
	return free;
}

/* Does it leave its version for sure, once acknowledged? */
static bool is_certain(const struct log_entry *entry)
{
	return entry->kind == OPERATION_WRITE ||
	       entry->kind == OPERATION_ZERO;
}

void oracle_end(unsigned int volume, u32 handle, bool done, bool durable)
{
	struct log_entry *entry;
	u32 version, i;

	pthread_mutex_lock(&oracle.lock);
	entry = &oracle.log[handle];
	if (done)
		entry->acknowledged = ++oracle.clock;
	entry->durable = done && durable;
	entry->ended = true;
	entry->ended_at = READ_ONCE(oracle.time);
	version = done && is_certain(entry) ? entry->version : VERSION_UNKNOWN;
	for (i = entry->first; i < entry->first + entry->count; i++)
		oracle.current[volume][i] = version;
	memset(oracle.busy[volume] + entry->first, 0, entry->count);
	pthread_mutex_unlock(&oracle.lock);
}

/* Versions grow with the log. */
static const struct log_entry *find_write(u32 version)
{
	const struct log_entry *entry = oracle.log + oracle.entries;

	while (entry > oracle.log) {
		entry--;
		if (entry->version == version)
			return entry;
		if (entry->version && entry->version < version)
			break;
	}
	return NULL;
}

bool oracle_is_in_flight(u32 version)
{
	const struct log_entry *entry;
	bool is;

	pthread_mutex_lock(&oracle.lock);
	entry = find_write(version);
	is = entry && !entry->ended;
	pthread_mutex_unlock(&oracle.lock);
	return is;
}

u32 oracle_clock(void)
{
	u32 clock;

	pthread_mutex_lock(&oracle.lock);
	clock = oracle.clock;
	pthread_mutex_unlock(&oracle.lock);
	return clock;
}

void oracle_doubt(u32 handle)
{
	pthread_mutex_lock(&oracle.lock);
	oracle.log[handle].kind = OPERATION_MAYBE_ZERO;
	oracle.doubts++;
	pthread_mutex_unlock(&oracle.lock);
}

/* lock held. */
static void note_flush(unsigned int volume, u32 clock)
{
	if (oracle.flush_entries == oracle.flush_room) {
		oracle.flush_room = 2 * oracle.flush_room + 256;
		oracle.flushes = realloc(oracle.flushes,
					 oracle.flush_room *
						 sizeof(*oracle.flushes));
		if (!oracle.flushes)
			abort();
	}
	oracle.flushes[oracle.flush_entries++] = (struct flush_entry){
		.volume = volume, .clock = clock, .at = READ_ONCE(oracle.time),
	};
}

void oracle_set_time(u32 time)
{
	WRITE_ONCE(oracle.time, time);
}

void oracle_flushed(unsigned int volume, u32 clock)
{
	pthread_mutex_lock(&oracle.lock);
	if (oracle.time)
		note_flush(volume, clock);
	oracle.flushed[volume] = max(oracle.flushed[volume], clock);
	pthread_mutex_unlock(&oracle.lock);
}

bool oracle_begin_read(unsigned int volume, u32 first, u32 count)
{
	bool free;

	pthread_mutex_lock(&oracle.lock);
	free = reserve(volume, first, count);
	pthread_mutex_unlock(&oracle.lock);
	return free;
}

/* lock held. */
static void check_against(unsigned int volume, u32 first, u32 count,
			  const u8 *data, const u32 *versions,
			  const char *what)
{
	u32 i, seen;

	for (i = first; i < first + count; i++) {
		const u8 *sector = data + (u64)(i - first) * DISK_SECTOR;

		seen = version_of(sector, volume, i, what);
		if (seen != versions[i] && seen != VERSION_UNKNOWN &&
		    versions[i] != VERSION_UNKNOWN)
			report_locked(what, "volume %u, sector %u: version %u, not %u",
				      volume + 1, i, seen, versions[i]);
	}
}

void oracle_end_read(unsigned int volume, u32 first, u32 count,
		     const u8 *data)
{
	pthread_mutex_lock(&oracle.lock);
	if (data)
		check_against(volume, first, count, data,
			      oracle.current[volume], "wrong read");
	memset(oracle.busy[volume] + first, 0, count);
	pthread_mutex_unlock(&oracle.lock);
}

/* --- after a cut --- */

struct check {
	u32 seen[VOLUME_SECTORS];
	u32 least[VOLUME_SECTORS];	/* what was flushed last */
	bool allowed[VOLUME_SECTORS];
};

static bool is_flushed(const struct log_entry *entry)
{
	return entry->durable ||
	       (entry->acknowledged &&
		entry->acknowledged <= oracle.flushed[entry->volume]);
}

static void check_entry(struct check *c, const struct log_entry *entry)
{
	bool durable = is_flushed(entry) && is_certain(entry);
	u32 i;

	for (i = entry->first; i < entry->first + entry->count; i++) {
		bool is_this = c->seen[i] == entry->version;

		if (durable)
			c->least[i] = entry->version;
		c->allowed[i] = is_this || (c->allowed[i] && !durable);
	}
}

static void begin_check(struct check *c, unsigned int volume, const u8 *data)
{
	u32 i;

	for (i = 0; i < VOLUME_SECTORS; i++) {
		c->seen[i] = version_of(data + (u64)i * DISK_SECTOR, volume, i,
					"after a cut");
		c->least[i] = oracle.known[volume][i];
		c->allowed[i] = c->seen[i] == c->least[i];
	}
}

static void report_check(const struct check *c, unsigned int volume)
{
	u32 i;

	for (i = 0; i < VOLUME_SECTORS; i++)
		if (!c->allowed[i] && c->seen[i] != VERSION_UNKNOWN)
			report_locked("lost flushed data",
				      "volume %u, sector %u: version %u, flushed was %u",
				      volume + 1, i, c->seen[i], c->least[i]);
}

static u32 flushed_at(unsigned int volume, u32 time)
{
	u32 clock = 0, i;

	for (i = 0; i < oracle.flush_entries; i++)
		if (oracle.flushes[i].volume == volume &&
		    oracle.flushes[i].at <= time)
			clock = max(clock, oracle.flushes[i].clock);
	return clock;
}

/* @entry as it was then. */
static struct log_entry entry_at(const struct log_entry *entry, u32 time)
{
	struct log_entry then = *entry;

	if (then.ended_at > time) {
		then.acknowledged = 0;
		then.durable = false;
	}
	return then;
}

void oracle_check_volume_at(unsigned int volume, const u8 *data, u32 time)
{
	static struct check c;
	u32 flushed, i;

	pthread_mutex_lock(&oracle.lock);
	flushed = oracle.flushed[volume];
	oracle.flushed[volume] = flushed_at(volume, time);
	begin_check(&c, volume, data);
	for (i = 0; i < oracle.entries; i++) {
		struct log_entry then = entry_at(&oracle.log[i], time);

		if (then.volume == volume && then.begun_at <= time)
			check_entry(&c, &then);
	}
	report_check(&c, volume);
	oracle.flushed[volume] = flushed;
	pthread_mutex_unlock(&oracle.lock);
}

void oracle_check_volume(unsigned int volume, const u8 *data)
{
	static struct check c;
	u32 i;

	pthread_mutex_lock(&oracle.lock);
	begin_check(&c, volume, data);
	for (i = 0; i < oracle.entries; i++)
		if (oracle.log[i].volume == volume)
			check_entry(&c, &oracle.log[i]);
	report_check(&c, volume);
	for (i = 0; i < VOLUME_SECTORS; i++) {
		oracle.known[volume][i] = c.seen[i];
		oracle.current[volume][i] = c.seen[i];
	}
	memset(oracle.busy[volume], 0, sizeof(oracle.busy[volume]));
	pthread_mutex_unlock(&oracle.lock);
}

void oracle_forget_operations(void)
{
	pthread_mutex_lock(&oracle.lock);
	oracle.entries = 0;
	oracle.flush_entries = 0;
	memset(oracle.flushed, 0, sizeof(oracle.flushed));
	pthread_mutex_unlock(&oracle.lock);
}

/* --- the base --- */

void oracle_copy(unsigned int volume, u32 *versions)
{
	pthread_mutex_lock(&oracle.lock);
	memcpy(versions, oracle.current[volume],
	       sizeof(oracle.current[volume]));
	pthread_mutex_unlock(&oracle.lock);
}

void oracle_check_base(unsigned int volume, const u8 *data,
		       const u32 *versions)
{
	pthread_mutex_lock(&oracle.lock);
	check_against(volume, 0, VOLUME_SECTORS, data, versions,
		      "base alone is not the snapshot");
	pthread_mutex_unlock(&oracle.lock);
}

bool oracle_base_is(unsigned int volume, const u8 *data, const u32 *versions)
{
	bool same = true;
	u32 i, seen;

	pthread_mutex_lock(&oracle.lock);
	for (i = 0; i < VOLUME_SECTORS && same; i++) {
		seen = version_of(data + (u64)i * DISK_SECTOR, volume, i,
				  "base alone");
		same = seen == versions[i] || seen == VERSION_UNKNOWN ||
		       versions[i] == VERSION_UNKNOWN;
	}
	pthread_mutex_unlock(&oracle.lock);
	return same;
}

/* --- figures --- */

u64 oracle_operations(void)
{
	return oracle.operations;
}

u64 oracle_doubts(void)
{
	return oracle.doubts;
}

/* Sectors that a flush was acknowledged for since the last check. */
u64 oracle_sectors_at_stake(unsigned int volume)
{
	u64 count = 0;
	u32 i;

	pthread_mutex_lock(&oracle.lock);
	for (i = 0; i < oracle.entries; i++) {
		const struct log_entry *entry = &oracle.log[i];

		if (entry->volume == volume && is_flushed(entry))
			count += entry->count;
	}
	pthread_mutex_unlock(&oracle.lock);
	return count;
}

bool oracle_all_are_at_stake(void)
{
	unsigned int v;

	for (v = 0; v < VOLUMES; v++)
		if (!oracle_sectors_at_stake(v))
			return false;
	return true;
}
