/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words that move between layers: a commit into a layer, a stream into a frozen layer
 * or into the top that is written to.
 *
 * One chunk of two pieces, over a base that nobody writes to.  A word names a data
 * chunk and the pieces of it that are the layer's; the others show what lies below.
 * What is moved may lack pieces that an older word has; they are copied into the chunk
 * that stays, to places that no word shows.
 *
 * Content is told by the operation that it is from, a piece at a time: 1 … WRITES are
 * writes and discards in the order of their begin, 0 is what the base holds, GARBAGE
 * is what nobody may read.
 */
#include "model.pml"

#define PIECES		2
#ifndef ROOM
#define ROOM		3	/* data chunks, from 1 on */
#endif
#ifndef LAYERS
#define LAYERS		3
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
#ifndef JOBS
#define JOBS		2
#endif
#ifndef CANCELS
#define CANCELS		1
#endif
#ifndef CRASHES
#define CRASHES		1
#endif

/* Words: data chunk, the pieces that are in its mask, and zeroes, by the operation
 * that made them, for those that are not. */
#define NONE		0
#define chunk_of(w)	((w) & 7)
#define mask_of(w)	(((w) >> 3) & 3)
#define zero_of(w)	((w) >> 5)
#define make_word(chunk, mask, zero) ((chunk) | ((mask) << 3) | ((zero) << 5))
#define has_piece(w, p)	(mask_of(w) & BIT(p))
#define full_mask	(BIT(PIECES) - 1)

#define place(chunk, p)	((chunk) * PIECES + (p))
#define PLACES		((ROOM + 1) * PIECES)

mtype = { OFF, RUNNING, COMPLETED, CANCELLED };
mtype = { COMMIT, STREAM };

/* --- the disk --- */

byte newest[PLACES] = GARBAGE;
byte survives[PLACES] = BIT(GARBAGE);

byte durable_word[LAYERS + 1];
byte durable_layers = 2;
byte durable_top = 1;
byte durable_mixed;
mtype durable_job = COMPLETED;
mtype durable_kind = COMMIT;
byte durable_to, durable_of;

/* --- memory --- */

mtype power = OFF;
byte word[LAYERS + 1];
byte layers;				/* those in the chain, a set */
byte top;
byte mixed;				/* those that show no point in time, a set */
mtype job;				/* the record's state, RUNNING too */
mtype kind;
byte job_to, job_of;			/* the layer that takes; the top of a commit */
bool dirty;				/* no step has taken the top's word */
byte moves;				/* volume.moves: words went up */

mtype = { FREE, TAKEN, FREED, IN_STEP, DURABLE, DRAINING };
mtype stage[ROOM + 1] = FREE;

/* --- who is at work --- */

mtype = { IDLE, WRITING, WRITTEN, WAITING };
mtype user = IDLE;
byte user_piece, user_place, user_operation, user_layer;
bool user_first, user_fua, user_step, user_served;

mtype flusher = IDLE;
bool flusher_served;
byte flusher_ends[PIECES];

mtype = { LOOKING, FOUND, READING };
mtype reader = IDLE;
byte reader_piece, reader_layer, reader_moves;
byte reader_place;			/* of the store, or 0 */
byte reader_value;			/* of zeroes and of the base */
byte reader_may;			/* what it may get, a set */

mtype = { SNAPSHOT, RECORD, BEGIN, LET_GO, LET_GO_NEWEST, FINISH, CANCEL };
mtype change = IDLE;
bool change_in_step;
mtype change_kind;
byte change_to, change_of;
byte change_word;			/* what takes the place of the taking layer's */

mtype = { PREFLUSH, WRITE, APPLY };
mtype step = IDLE;
bool step_dirty;
byte step_word;
byte step_left;				/* layers that have yet to let go, in memory */
bool step_placed, step_noted;

mtype = { GATHER, LOCK, PLACE, LET_GO_REST, UNLOCK };
mtype thread = IDLE;			/* of the job */
bool locked;				/* the chunk's range lock, exclusively */
byte buffer[PIECES] = GARBAGE;
byte gathered;				/* pieces that are in the buffer */

mtype reclaim = IDLE;
byte reclaim_waits;

/* --- what was promised --- */

byte issued, flushes, reads, jobs, cancels, crashes;
byte may_show[PIECES] = 1;
byte may_survive[PIECES] = 1;
byte current[PIECES];			/* what is shown */
byte snapshot[(LAYERS + 1) * PIECES];

bool acknowledged_is_kept = true;
bool read_is_right = true;
bool chunk_has_one_owner = true;
bool layer_is_its_snapshot = true;
bool all_come_to_their_end = true;

/* For loops within one action; 0 between actions. */
byte i, j, k, n;

/* What plan() comes to; forgotten within the action too. */
byte plan_word, plan_copied, plan_open, plan_home, plan_zero;
byte plan_from[PIECES];

#define at(layer, p)	((layer) * PIECES + (p))
#define is_there(layer)	(layers & BIT(layer))
#define is_mixed(layer)	(mixed & BIT(layer))
#define someone_waits	((user == WAITING && !user_served) || \
			 (flusher == WAITING && !flusher_served))
#define any_stage(s)	(stage[1] == (s) || stage[2] == (s) || stage[ROOM] == (s))
#define is_source(kind, to, of, l) \
	(is_there(l) && ((kind) == COMMIT -> (l) > (to) && (l) <= (of) : (l) < (to)))

/* n: what layer l shows of piece p */
inline find_shown(l, p)
{
	n = 0;
	for (k : 1 .. l) {
		if
		:: has_piece(word[k], p) -> n = newest[place(chunk_of(word[k]), p)]
		:: !has_piece(word[k], p) && zero_of(word[k]) -> n = zero_of(word[k])
		:: else
		fi
	}
	k = 0
}

/* A frozen layer shows its snapshot, unless it is flagged to show none. */
inline check_layers()
{
	for (i : 1 .. LAYERS) {
		if
		:: is_there(i) && i < top && !is_mixed(i) ->
			for (j : 0 .. PIECES - 1) {
				find_shown(i, j);
				layer_is_its_snapshot = n == snapshot[at(i, j)];
				assert(layer_is_its_snapshot)
			}
		:: else
		fi
	}
	i = 0;
	j = 0;
	n = 0
}

#include "layers_users.pml"
#include "layers_steps.pml"
#include "layers_job.pml"
#include "layers_power.pml"
