/* SPDX-License-Identifier: GPL-2.0 */
/* Included by commit.pml: chunks that come free, power cuts and recovery. */

/* --- chunks that come free: kernel/reclaim.c --- */

active proctype reclaimer()
{
end:
	do
	:: d_step {
		power == RUNNING && reclaim == IDLE && any_durable ->
		move_stage(DURABLE, DRAINING);
		if
		:: broken(REUSE_BEFORE_DRAINED)
		:: else ->
			reclaim_waits = (user == WRITING || user == WRITTEN -> BIT(0) : 0) |
				(reader == LOOKING || reader == READING -> BIT(1) : 0)
		fi;
		reclaim = WAITING
	   }
	:: d_step {
		power == RUNNING && reclaim == WAITING && reclaim_waits == 0 ->
		for (i : 1 .. ROOM) {
			if
			:: stage[i] == DRAINING ->
				newest[i] = GARBAGE;
				survives[i] = survives[i] | BIT(GARBAGE);
				stage[i] = FREE;
				printf("reclaim: data chunk %d is discarded, and free\n", i)
			:: else
			fi
		}
		i = 0;
		reclaim = IDLE
	   }
	od
}

/* --- power, and recovery --- */

inline lose_all()
{
	forget_operation();
	forget_read();
	forget_change();
	forget_step();
	end_thread();
	for (i : 0 .. CHUNKS - 1) {
		dirty[i] = false;
		flusher_ends[i] = 0;
	}
	for (i : 0 .. WORDS - 1) {
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
	mark = durable_mark;
	job = durable_job;
	job_top = durable_job_top;
	job_retain = durable_job_retain;
	/* job_take_up() */
	thread = (job == RUNNING -> BEGIN : IDLE);
	for (i : 0 .. WORDS - 1) {
		word[i] = durable_word[i];
		if
		:: has_chunk(word[i]) ->
			chunk_has_one_owner = stage[data_of(word[i])] == FREE;
			assert(chunk_has_one_owner);
			stage[data_of(word[i])] = TAKEN
		:: else
		fi
	}
	i = 0
}

/* Of a chunk that is named any of what may have survived; others nobody may read. */
#define survivor(o)						\
	d_step {						\
		n <= ROOM && stage[n] == TAKEN && (survives[n] & BIT(o)) -> \
		newest[n] = (o);				\
		survives[n] = BIT(o);				\
		printf("recovery: data chunk %d holds operation %d\n", n, o); \
		n++						\
	}							\
	:: d_step {						\
		n > ROOM && n <= ROOM + CHUNKS && (base_survives[n - ROOM - 1] & BIT(o)) -> \
		base[n - ROOM - 1] = (o);			\
		base_survives[n - ROOM - 1] = BIT(o);		\
		printf("recovery: the base's chunk %d holds operation %d\n", n - ROOM - 1, o); \
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
		n <= ROOM && stage[n] != TAKEN ->
		newest[n] = GARBAGE;
		survives[n] = BIT(GARBAGE);
		n++
	   }
	:: n > ROOM + CHUNKS -> break
	od
}

inline check_content()
{
	for (i : 0 .. CHUNKS - 1) {
		find_shown(top, i, true);
		printf("recovery: chunk %d shows operation %d\n", i, n);
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
			n = 1
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
