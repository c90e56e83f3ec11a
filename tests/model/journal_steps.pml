/* SPDX-License-Identifier: GPL-2.0 */
/* Included by journal.pml: durable steps, and chunks that come free by them. */

/* --- steps --- */

/* Users who wait now are served by the step that begins. */
inline take_waiters()
{
	for (i : 0 .. USERS - 1) {
		user_served[i] = user[i] == WAITING;
	}
	i = 0;
	flusher_served = flusher == WAITING
}

inline complete_waiters()
{
	for (n : 0 .. USERS - 1) {
		if
		:: user_served[n] -> end_operation(n)
		:: else
		fi
	}
	n = 0;
	if
	:: flusher_served -> end_flush()
	:: else
	fi
}

inline forget_step()
{
	for (i : 0 .. CHUNKS - 1) {
		step_word[i] = 0;
	}
	i = 0;
	step = IDLE;
	step_running = false;
	step_empty = false;
	step_complete = false
}

/* kernel/journal_io.c and kernel/core/step.c; the store's own thread. */
active proctype journal()
{
end:
	do
	/* start_step_work(), for a waiter or by the timer; take_requests() */
	:: d_step {
		power == RUNNING && step == IDLE && (any_dirty || someone_waits) ->
		step_running = true;
		take_waiters();
		step = COLLECT_FREED;
		printf("journal: step %d begins\n", head)
	   }
	/* wait_for_ring(); cowstack_step_collect(): freed chunks are noted … */
	:: d_step {
		power == RUNNING && step == COLLECT_FREED && head - tail < RING ->
		for (i : 1 .. ROOM) {
			stage[i] = (stage[i] == FREED -> IN_STEP : stage[i]);
		}
		i = 0;
		step = COLLECT_WORDS
	   }
	/* … then words are taken, as many as there is room for. */
	:: d_step {
		power == RUNNING && step == COLLECT_WORDS ->
		for (i : 0 .. CHUNKS - 1) {
			step_word[i] = UNCHANGED;
			if
			:: dirty[i] && n < STEP_WORDS ->
				step_word[i] = word[i];
				home_dirty[i] = true;
				dirty[i] = false;
				n++;
				printf("journal: step %d takes chunk %d's word, %d\n",
				       head, i, word[i])
			:: else
			fi
		}
		i = 0;
		step_empty = n == 0;
		step_complete = !any_dirty;
		n = 0;
		step = PREFLUSH
	   }
	/* write_step(): PREFLUSH …; of an empty step it is all */
	:: d_step {
		power == RUNNING && step == PREFLUSH ->
		if
		:: broken(SKIP_STORE_FLUSH) && !step_empty
		:: else -> flush_store()
		fi;
		step = (step_empty -> FINISH : WRITE)
	   }
	/* … and FUA */
	:: d_step {
		power == RUNNING && step == WRITE ->
		log_step[head % RING] = head;
		for (i : 0 .. CHUNKS - 1) {
			log_word[(head % RING) * CHUNKS + i] = step_word[i];
		}
		i = 0;
		step = FINISH;
		printf("journal: step %d is durable\n", head)
	   }
	/* cowstack_step_finish(); run_round(): another step, or complete_waiters() */
	:: d_step {
		power == RUNNING && step == FINISH ->
		head = (step_empty -> head : head + 1);
		for (i : 1 .. ROOM) {
			stage[i] = (stage[i] == IN_STEP &&
				    (step_complete || broken(INCOMPLETE_FREES)) ->
				    DURABLE : stage[i]);
		}
		i = 0;
		if
		:: step_complete ->
			complete_waiters();
			forget_step()
		:: else -> step = COLLECT_FREED
		fi
	   }
	od
}

/* --- chunks that come free --- */

#define in_drain_section ((user[0] != IDLE && user[0] != WAITING -> 1 : 0) | \
			  (user[1] != IDLE && user[1] != WAITING -> 2 : 0) | \
			  (reader != IDLE -> 4 : 0))

inline move_stage(from, to)
{
	for (i : 1 .. ROOM) {
		stage[i] = (stage[i] == from -> to : stage[i]);
	}
	i = 0
}

inline discard_chunks(which)
{
	for (i : 1 .. ROOM) {
		if
		:: stage[i] == which ->
			newest[i] = GARBAGE;
			survives[i] = survives[i] | BIT(GARBAGE);
			printf("reclaim: data chunk %d is discarded\n", i)
		:: else
		fi
	}
	i = 0
}

/* reclaim_work_fn() in kernel/reclaim.c */
active proctype reclaimer()
{
end:
	do
	/* cowstack_allocator_take_durable(); synchronize_srcu() begins */
	:: d_step {
		power == RUNNING && reclaim == IDLE && any_stage(DURABLE) ->
		move_stage(DURABLE, DRAINING);
		reclaim_waits = (broken(REUSE_BEFORE_DRAINED) -> 0 : in_drain_section);
		reclaim = WAITING
	   }
	/* … and has ended; discard_run() */
	:: d_step {
		power == RUNNING && reclaim == WAITING && reclaim_waits == 0 ->
		if
		:: broken(DISCARD_AFTER_RELEASE) -> move_stage(DRAINING, FREE)
		:: else ->
			discard_chunks(DRAINING);
			move_stage(DRAINING, DISCARDED)
		fi;
		reclaim = FREEING
	   }
	/* cowstack_allocator_release() */
	:: d_step {
		power == RUNNING && reclaim == FREEING ->
		if
		:: broken(DISCARD_AFTER_RELEASE) -> discard_chunks(TAKEN)
		:: else -> move_stage(DISCARDED, FREE)
		fi;
		reclaim = IDLE
	   }
	od
}
