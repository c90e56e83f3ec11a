/* SPDX-License-Identifier: GPL-2.0 */
/* Included by layers.pml: chunks that come free, power cuts and recovery. */

/* kernel/reclaim.c */
active proctype reclaimer()
{
end:
	do
	:: d_step {
		power == RUNNING && reclaim == IDLE && any_stage(DURABLE) ->
		move_stage(DURABLE, DRAINING);
		if
		:: broken(REUSE_BEFORE_DRAINED)
		:: else ->
			reclaim_waits = (user == WRITING || user == WRITTEN -> BIT(0) : 0) |
					(reader != IDLE -> BIT(1) : 0)
		fi;
		reclaim = WAITING
	   }
	:: d_step {
		power == RUNNING && reclaim == WAITING && reclaim_waits == 0 ->
		for (i : 1 .. ROOM) {
			if
			:: stage[i] == DRAINING ->
				for (j : 0 .. PIECES - 1) {
					newest[place(i, j)] = GARBAGE;
					survives[place(i, j)] = survives[place(i, j)] | BIT(GARBAGE);
				}
				stage[i] = FREE;
				printf("reclaim: data chunk %d is discarded, and free\n", i)
			:: else
			fi
		}
		i = 0;
		j = 0;
		reclaim = IDLE
	   }
	od
}

inline lose_all()
{
	forget_operation();
	forget_read();
	forget_change();
	forget_step();
	forget_plan();
	end_thread();
	dirty = false;
	moves = 0;
	for (i : 0 .. PIECES - 1) {
		flusher_ends[i] = 0;
	}
	for (i : 1 .. LAYERS) {
		word[i] = NONE;
	}
	for (i : 1 .. ROOM) {
		stage[i] = FREE;
	}
	i = 0;
	flusher = IDLE;
	flusher_served = false;
	reclaim = IDLE;
	reclaim_waits = 0
}

active proctype power_cut()
{
end:
	do
	:: d_step {
		power == RUNNING && crashes < CRASHES && issued > 0 ->
		crashes++;
		lose_all();
		power = OFF;
		printf("power: cut\n")
	   }
	od
}

inline load()
{
	layers = durable_layers;
	top = durable_top;
	mixed = durable_mixed;
	job = durable_job;
	kind = durable_kind;
	job_to = durable_to;
	job_of = durable_of;
	/* job_take_up() */
	thread = (job == RUNNING -> BEGIN : IDLE);
	for (i : 1 .. LAYERS) {
		word[i] = durable_word[i];
		n = chunk_of(word[i]);
		if
		:: n != NONE ->
			chunk_has_one_owner = stage[n] == FREE;
			assert(chunk_has_one_owner);
			stage[n] = TAKEN
		:: else
		fi
	}
	i = 0
}

/* Is place q one that a word shows? */
#define shows(l, q)	(chunk_of(word[l]) == (q) / PIECES && has_piece(word[l], (q) % PIECES))
#define is_shown(q)	(shows(1, q) || shows(2, q) || shows(LAYERS, q))

/* Of a piece that a word shows any of what may have survived; others nobody may read. */
#define survivor(o)						\
	d_step {						\
		n < PLACES && is_shown(n) && (survives[n] & BIT(o)) -> \
		newest[n] = (o);				\
		survives[n] = BIT(o);				\
		printf("recovery: data chunk %d, piece %d holds operation %d\n", \
		       n / PIECES, n % PIECES, o);		\
		n++						\
	}

inline choose_survivors()
{
	do
	:: survivor(0)
	:: survivor(1)
	:: survivor(2)
	:: survivor(3)
	:: survivor(4)
	:: survivor(5)
	:: survivor(GARBAGE)
	:: d_step {
		n < PLACES && !is_shown(n) ->
		newest[n] = GARBAGE;
		survives[n] = BIT(GARBAGE);
		n++
	   }
	:: n >= PLACES -> break
	od
}

inline check_content()
{
	for (i : 0 .. PIECES - 1) {
		find_shown(top, i);
		printf("recovery: piece %d shows operation %d\n", i, n);
		acknowledged_is_kept = (may_survive[i] & BIT(n)) != 0;
		assert(acknowledged_is_kept);
		may_show[i] = BIT(n);
		may_survive[i] = BIT(n);
		current[i] = n;
	}
	i = 0;
	n = 0
}

active proctype recovery()
{
end:
	do
	:: atomic {
		d_step {
			power == OFF ->
			load();
			n = PIECES
		};
		choose_survivors();
		d_step {
			check_content();
			check_layers();
			power = RUNNING
		}
	   }
	od
}

/* Nobody waits for ever. */
active proctype watch()
{
	timeout ->
	all_come_to_their_end = user == IDLE && flusher == IDLE && reader == IDLE &&
		step == IDLE && reclaim == IDLE && change == IDLE && no_job;
	assert(all_come_to_their_end)
}
