/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store's journal: words, durable steps, checkpoints, chunks that come free,
 * power cuts and recovery.
 *
 * One volume of CHUNKS chunks, each alone in its map page, with a top layer over a
 * base that nobody writes to; ROOM data chunks; a journal of RING steps.  All that
 * happens is one of the actions below, each of them atomic; any that can be next
 * may be.  A comment behind each says which function of the module it stands for.
 *
 * The store's device has a volatile cache.  Of each data chunk it is known what a
 * read returns (newest) and what may be found after a power cut (survives, a set):
 * a write adds to the set, a flush leaves the newest alone.
 *
 * Content is told by the operation that it is from: 1 … WRITES are writes and
 * discards in the order of their begin, 0 is what the base holds, GARBAGE is what
 * nobody may read.
 */
#include "model.pml"

#ifndef CHUNKS
#define CHUNKS		2
#endif
#ifndef ROOM
#define ROOM		2	/* data chunks, from 1 on */
#endif
#ifndef RING
#define RING		2	/* steps that the journal holds */
#endif
#ifndef STEP_WORDS
#define STEP_WORDS	CHUNKS	/* that one step has room for */
#endif
#ifndef WRITES
#define WRITES		3
#endif
#ifndef FLUSHES
#define FLUSHES		1
#endif
#ifndef READS
#define READS		1
#endif
#ifndef CRASHES
#define CRASHES		2
#endif

#define USERS		2
#define BLOCKS		(2 * CHUNKS)	/* for map pages: old and new homes */
#define INDEXES		2		/* old and new */

/* Words: one that names no data, or data chunk 1 … ROOM, or zeroes of operation n. */
#define NONE		0
#define ZERO		16
#define UNCHANGED	255
#define is_zero(w)	((w) >= ZERO)
#define is_data(w)	((w) != NONE && (w) < ZERO)

/* --- the disk, as cowstack_format() leaves it --- */

byte newest[ROOM + 1] = GARBAGE;
byte survives[ROOM + 1] = BIT(GARBAGE);

byte log_step[RING];			/* 0: none */
byte log_word[RING * CHUNKS];

byte block[BLOCKS + 1];			/* map page images, from 1 on */
bool block_durable[BLOCKS + 1] = true;

byte index_tail[INDEXES] = 1;		/* the step that replay starts from */
byte index_home[INDEXES * CHUNKS];	/* 0: the page has no home */
byte index_word[INDEXES * CHUNKS];	/* stands for the page's checksum */
bool index_durable[INDEXES] = true;

byte superblock[2] = 1;			/* its sequence; 0: damaged */
byte superblock_index[2];

/* --- memory --- */

mtype = { OFF, LOADED, MENDING, RUNNING };
mtype power = OFF;

byte word[CHUNKS];
byte room[CHUNKS];			/* what a first write under way has taken */
bool dirty[CHUNKS];			/* no step has taken the word */
bool home_dirty[CHUNKS];
byte home[CHUNKS];
bool block_used[BLOCKS + 1];
byte head, tail;			/* the next step, and replay's first */
byte index_used;			/* which of the indexes is in use */

/* allocator.h: the stages of a data chunk */
mtype = { FREE, TAKEN, FREED, IN_STEP, DURABLE, DRAINING, DISCARDED };
mtype stage[ROOM + 1] = FREE;

/* --- who is at work --- */

mtype = { IDLE, WRITING, WRITTEN, WAITING, FREEING };
mtype user[USERS] = IDLE;
byte user_chunk[USERS];
byte user_place[USERS];
byte user_operation[USERS];
byte user_before[USERS];		/* what its operation makes an end of */
bool user_first[USERS];			/* its word has to be published */
bool user_fua[USERS];
bool user_step[USERS];			/* is acknowledged after a step */
bool user_served[USERS];		/* the step under way is for it too */

mtype = { PLAIN };
mtype flusher = IDLE;
bool flusher_served;
byte flusher_ends[CHUNKS];

mtype reader = IDLE;
byte reader_place;
byte reader_may;			/* what it may get */
byte reader_chunk;

mtype = { COLLECT_FREED, COLLECT_WORDS, PREFLUSH, WRITE, FINISH };
mtype step = IDLE;
byte step_word[CHUNKS];
bool step_running;
bool step_empty;
bool step_complete;			/* no word was left for the next */

mtype reclaim = IDLE;
byte reclaim_waits;			/* who was in the drain section, a set */

mtype = { IMAGES, INDEX, SUPERBLOCK_A, SUPERBLOCK_A_DONE, SUPERBLOCK_B, END };
mtype checkpoint = IDLE;
bool checkpoint_page[CHUNKS];
byte checkpoint_home[CHUNKS];
byte checkpoint_tail;
byte checkpoint_index;

/* --- what was promised --- */

byte issued, flushes, reads, crashes;
byte may_show[CHUNKS] = 1;		/* what a read may return, a set */
byte may_survive[CHUNKS] = 1;		/* … after a power cut */

bool store_loads = true;
bool chunk_has_one_owner = true;
bool acknowledged_is_kept = true;
bool read_is_right = true;
bool all_come_to_their_end = true;

/* For loops within one action; 0 between actions. */
byte i, n, best;

#define any_stage(s) (stage[1] == (s) || stage[ROOM] == (s) || \
		      stage[(ROOM + 1) / 2] == (s))
#define any_dirty	(dirty[0] || dirty[CHUNKS - 1])
#define someone_waits	((user[0] == WAITING && !user_served[0]) || \
			 (user[1] == WAITING && !user_served[1]) || \
			 (flusher == WAITING && !flusher_served))

/* Is user u in a first write of chunk c, which holds the range lock, shared? */
#define in_first_write(u, c) (user_first[u] && user_chunk[u] == (c) && \
			      (user[u] == WRITING || user[u] == WRITTEN))
/* … in a discard of it, which holds it exclusively? */
#define in_discard(u, c)	(user[u] == FREEING && user_chunk[u] == (c))
/* What user u has under way on chunk c. */
#define under_way(u, c)	((user[u] != IDLE && user_chunk[u] == (c)) -> \
				BIT(user_operation[u]) : 0)

/* Chunks are alike: the first operation is on the first. */
#define can_begin(c)	(issued < WRITES && (issued > 0 || (c) == 0))

/* Everything in the store's cache is durable from now on. */
inline flush_store()
{
	for (i : 1 .. ROOM) {
		survives[i] = BIT(newest[i]);
	}
	for (i : 1 .. BLOCKS) {
		block_durable[i] = true;
	}
	for (i : 0 .. INDEXES - 1) {
		index_durable[i] = true;
	}
	i = 0;
}

inline find_free_chunk()
{
	n = 0;
	for (i : 1 .. ROOM) {
		if
		:: n == 0 && stage[i] == FREE -> n = i
		:: else
		fi
	}
	i = 0;
}

inline begin_operation(u, c)
{
	issued++;
	user_chunk[u] = c;
	user_operation[u] = issued;
	user_before[u] = may_show[c] & ~(under_way(0, c) | under_way(1, c)) &
			 ~BIT(issued);
	may_show[c] = may_show[c] | BIT(issued);
	may_survive[c] = may_survive[c] | BIT(issued);
	if
	:: reader != IDLE && reader_chunk == c ->
		reader_may = reader_may | BIT(issued)
	:: else
	fi
}

inline forget_operation(u)
{
	user[u] = IDLE;
	user_chunk[u] = 0;
	user_place[u] = 0;
	user_operation[u] = 0;
	user_before[u] = 0;
	user_first[u] = false;
	user_fua[u] = false;
	user_step[u] = false;
	user_served[u] = false
}

inline end_operation(u)
{
	i = user_chunk[u];
	may_show[i] = may_show[i] & ~user_before[u];
	if
	:: user_fua[u] -> may_survive[i] = may_survive[i] & ~user_before[u]
	:: else
	fi;
	printf("user %d: operation %d is acknowledged\n", u, user_operation[u]);
	forget_operation(u);
	i = 0
}

/* A user who leaves the drain section; 2 is the reader. */
inline leave_drain(u)
{
	reclaim_waits = reclaim_waits & ~BIT(u)
}

inline end_flush()
{
	for (i : 0 .. CHUNKS - 1) {
		may_survive[i] = may_survive[i] & ~flusher_ends[i];
		flusher_ends[i] = 0;
	}
	i = 0;
	flusher = IDLE;
	flusher_served = false;
	printf("flush: acknowledged\n")
}

#include "journal_users.pml"
#include "journal_steps.pml"
#include "journal_checkpoint.pml"
#include "journal_power.pml"
