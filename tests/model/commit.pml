/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A volume that is written to, snapshots, and commits into its base: begun, cancelled,
 * cut off, gone on with; with and without copies that stay.
 *
 * The store and the base are two disks with a volatile cache each, which a power cut
 * loses apart from each other.  Of each place it is known what a read returns (newest)
 * and what may be found after a power cut (survives, a set).  Metadata is what
 * journal.pml shows a journal and its checkpoints to be: as of the last durable step.
 *
 * Content is told by the operation that it is from: 1 … WRITES are writes and
 * discards in the order of their begin, 0 is the first content of the base, GARBAGE is
 * what nobody may read.
 */
#include "model.pml"

#ifndef CHUNKS
#define CHUNKS		2
#endif
#ifndef ROOM
#define ROOM		3	/* data chunks, from 1 on */
#endif
#ifndef LAYERS
#define LAYERS		3	/* that there ever are; number 1 is the first */
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
#ifndef COMMITS
#define COMMITS		2
#endif
#ifndef CANCELS
#define CANCELS		1
#endif
#ifndef EMPTIES
#define EMPTIES		1	/* make_empty, and drop */
#endif
#ifndef CRASHES
#define CRASHES		1
#endif

/*
 * Words: one that names no data, data chunk 1 … ROOM, the same and clean, or zeroes
 * of operation n.
 */
#define NONE		0
#define CLEAN		8
#define ZERO		16
#define is_zero(w)	((w) >= ZERO)
#define is_clean(w)	((w) > CLEAN && (w) < ZERO)
#define has_chunk(w)	((w) != NONE && (w) < ZERO)
#define data_of(w)	((w) & (CLEAN - 1))
#define as_clean(w)	((w) | CLEAN)

#define at(layer, chunk)	((layer) * CHUNKS + (chunk))
#define WORDS			((LAYERS + 1) * CHUNKS)

mtype = { OFF, RUNNING, COMPLETED, CANCELLED };

/* --- the disks --- */

byte newest[ROOM + 1] = GARBAGE;
byte survives[ROOM + 1] = BIT(GARBAGE);
byte base[CHUNKS];
byte base_survives[CHUNKS] = 1;

/* As of the last durable step: */
byte durable_word[WORDS];
byte durable_layers = 2;
byte durable_top = 1;
byte durable_mark;
mtype durable_job = COMPLETED;
byte durable_job_top;
bool durable_job_retain;

/* --- memory --- */

mtype power = OFF;

byte word[WORDS];
byte layers;				/* those in the chain, a set */
byte top;
byte mark;				/* volume_info.mixed_top; 0: the base is valid */

mtype job;				/* the record's state, RUNNING too */
byte job_top;
bool job_retain;
bool dirty[CHUNKS];			/* no step has taken the top's word */

mtype = { FREE, TAKEN, FREED, IN_STEP, DURABLE, DRAINING };
mtype stage[ROOM + 1] = FREE;

/* --- who is at work --- */

mtype = { IDLE, WRITING, WRITTEN, WAITING };
mtype user = IDLE;
byte user_chunk, user_place, user_operation, user_layer;
bool user_first, user_fua, user_step, user_served;

mtype flusher = IDLE;
bool flusher_served;
byte flusher_ends[CHUNKS];

mtype = { LOOKING, READING, READING_BASE };
mtype reader = IDLE;
byte reader_chunk, reader_layer, reader_place;
byte reader_may;			/* what it may get, a set */

/* What is asked of the next step; chain_mutex lets one ask at a time. */
mtype = { SNAPSHOT, RECORD, BEGIN, LET_GO, LET_GO_NEWEST, FINISH, FINISH_KEPT, CANCEL };
mtype = { EMPTY, DROP };
mtype change = IDLE;
bool change_in_step;
bool change_snapshot;			/* the record comes with a snapshot */
byte change_layer;			/* the range's top, or the layer it is about */
byte change_first, change_end;		/* chunks */
byte change_stays[CHUNKS];		/* the layer whose word stays, clean; 0: none */
bool change_retain;
bool change_covers;			/* the mark goes */

mtype = { PREFLUSH, WRITE, APPLY };
mtype step = IDLE;
byte step_word[CHUNKS];
byte step_dirty;			/* chunks whose words it has, a set */
byte step_left;				/* layers that have yet to let go, in memory */

mtype = { GATHER, LET_GO_REST };
mtype thread = IDLE;			/* of the job */
byte thread_chunk, thread_first;	/* the next to write, and of the group */
byte thread_flushed;			/* up to which the group waits to be let go of; or 0 */
byte buffer;
bool buffer_full;
bool in_flight;				/* the buffer's write */

mtype reclaim = IDLE;
byte reclaim_waits;

/* --- what was promised --- */

byte issued, flushes, reads, commits, cancels, empties, crashes;
byte may_show[CHUNKS] = 1;
byte may_survive[CHUNKS] = 1;
byte current[CHUNKS];			/* what is shown */
byte snapshot[WORDS];			/* what each frozen layer is a snapshot of */
byte valid_base[CHUNKS];		/* what the base is when it is valid */

bool acknowledged_is_kept = true;
bool read_is_right = true;
bool chunk_has_one_owner = true;
bool layer_is_its_snapshot = true;
bool clean_copy_is_true = true;
bool valid_base_is_snapshot = true;
bool all_come_to_their_end = true;

/* For loops within one action; 0 between actions. */
byte i, j, k, n;
bool flag;

#define is_there(layer)	(layers & BIT(layer))
#define any_dirty	(dirty[0] || dirty[CHUNKS - 1])
#define someone_waits	((user == WAITING && !user_served) || \
			 (flusher == WAITING && !flusher_served))
#define gate_is_closed	(change == SNAPSHOT || (change == RECORD && change_snapshot))
#define any_free	(stage[1] == FREE || stage[2] == FREE || stage[ROOM] == FREE)
#define any_durable	(stage[1] == DURABLE || stage[2] == DURABLE || \
			 stage[ROOM] == DURABLE)
#define has_words(l)	(word[at(l, 0)] != NONE || word[at(l, CHUNKS - 1)] != NONE)
#define has_clean(l)	(is_clean(word[at(l, 0)]) || is_clean(word[at(l, CHUNKS - 1)]))
#define nothing_but_clean(l) \
	((word[at(l, 0)] == NONE || is_clean(word[at(l, 0)])) && \
	 (word[at(l, CHUNKS - 1)] == NONE || is_clean(word[at(l, CHUNKS - 1)])))

/* --- what is checked --- */

/* n: what layer l shows of chunk c, of clean words none if not @clean. */
inline find_shown(l, c, clean)
{
	n = base[c];
	for (k : 1 .. l) {
		if
		:: is_zero(word[at(k, c)]) -> n = word[at(k, c)] - ZERO
		:: has_chunk(word[at(k, c)]) && (clean || !is_clean(word[at(k, c)])) ->
			n = newest[data_of(word[at(k, c)])]
		:: else
		fi
	}
	k = 0
}

/* cowstack_layer_is_whole(): does l show a point in time?  Sets flag. */
inline find_whole(l)
{
	flag = is_there(l) && l < top;
	for (k : 1 .. LAYERS) {
		flag = flag && (k <= l || !is_there(k) || (k > mark && !has_clean(k)));
	}
	k = 0
}

/*
 * A frozen layer shows its snapshot, with its clean copies and without them.  (Of
 * one that shows no point in time nothing is said.)  A base that is valid is the
 * snapshot that was committed, whatever its cache loses.
 */
inline check_layers()
{
	for (i : 1 .. LAYERS) {
		find_whole(i);
		if
		:: flag ->
			for (j : 0 .. CHUNKS - 1) {
				find_shown(i, j, true);
				layer_is_its_snapshot = n == snapshot[at(i, j)];
				assert(layer_is_its_snapshot);
				find_shown(i, j, false);
				clean_copy_is_true = n == snapshot[at(i, j)];
				assert(clean_copy_is_true)
			}
		:: else
		fi
	}
	if
	:: durable_mark == 0 ->
		for (j : 0 .. CHUNKS - 1) {
			valid_base_is_snapshot = base_survives[j] == BIT(valid_base[j]);
			assert(valid_base_is_snapshot)
		}
	:: else
	fi;
	i = 0;
	j = 0;
	n = 0;
	flag = false
}

#include "commit_users.pml"
#include "commit_steps.pml"
#include "commit_job.pml"
#include "commit_power.pml"
