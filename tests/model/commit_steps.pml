/* SPDX-License-Identifier: GPL-2.0 */
/* Included by commit.pml: changes, and the durable steps that carry them. */

/* --- changes: kernel/core/change_layers.c, let_go.c, kernel/commit.c --- */

inline forget_change()
{
	change = IDLE;
	change_in_step = false;
	change_snapshot = false;
	change_layer = 0;
	change_first = 0;
	change_end = 0;
	change_retain = false;
	change_covers = false;
	for (i : 0 .. CHUNKS - 1) {
		change_stays[i] = 0;
	}
	i = 0
}

/* n: the next layer of L below l, or 0 */
inline find_below(L, l)
{
	n = 0;
	for (k : 1 .. LAYERS) {
		n = (k < l && (L & BIT(k)) -> k : n);
	}
	k = 0
}

/* What the change makes of the records L (layers), T (top), M (mark), J, JT, JR (job). */
inline change_records(L, T, M, J, JT, JR)
{
	if
	:: gate_is_closed ->
		T = T + 1;
		L = L | BIT(T)
	:: else
	fi;
	if
	:: change == RECORD ->
		J = RUNNING;
		JT = change_layer;
		JR = change_retain
	/* cowstack_job_update_begin(): of several that were begun the highest top counts. */
	:: change == BEGIN -> M = (change_layer > M -> change_layer : M)
	/* update_cancel() */
	:: change == CANCEL -> J = (J == RUNNING -> CANCELLED : J)
	/* cowstack_job_update_end(), encode_remove() */
	:: change == FINISH || change == FINISH_KEPT ->
		J = COMPLETED;
		M = (change_covers -> 0 : M);
		L = (change == FINISH -> L & ~(BIT(change_layer + 1) - 1) : L)
	/* update_removed(): the mark goes to the layer below, if there is one. */
	:: change == DROP ->
		L = L & ~BIT(change_layer);
		find_below(L, change_layer);
		M = (M == change_layer && n -> n : M);
		n = 0
	:: else
	fi
}

/* Does the change let go of word w in layer l, if that is in its chunks? */
#define lets_go_of(l, w) \
	((change == LET_GO && !(broken(CLEAN_UNCUT) && is_clean(w))) || \
	 ((change == EMPTY || change == DROP || change == LET_GO_NEWEST) && \
	  (l) == change_layer))
#define lets_go		(change == LET_GO || change == LET_GO_NEWEST || \
			 change == EMPTY || change == DROP)

/* encode_let_go(), encode_empty(): what the change makes of words on disk. */
inline change_durable_words()
{
	for (j : 1 .. change_layer) {
		for (i : change_first .. change_end - 1) {
			n = durable_word[at(j, i)];
			if
			:: change_stays[i] == j -> n = as_clean(n)
			:: change_stays[i] != j && lets_go_of(j, n) -> n = NONE
			:: else
			fi;
			durable_word[at(j, i)] = n
		}
	}
	i = 0;
	j = 0;
	n = 0
}

/* clear_words(), exchange_word() in kernel/core/let_go.c: of layer l, in memory */
inline let_go_of_layer(l)
{
	for (i : change_first .. change_end - 1) {
		n = word[at(l, i)];
		if
		:: n != NONE && change_stays[i] != l && lets_go_of(l, n) ->
			word[at(l, i)] = NONE;
			if
			:: has_chunk(n) -> free_chunk(data_of(n), DURABLE)
			:: else
			fi
		:: else
		fi
	}
	i = 0;
	n = 0
}

/* place_replacements() */
inline place_clean_words()
{
	for (i : 0 .. CHUNKS - 1) {
		if
		:: change_stays[i] -> word[at(change_stays[i], i)] = as_clean(word[at(change_stays[i], i)])
		:: else
		fi
	}
	i = 0
}

/*
 * What a layer is a snapshot of.  Where a range was committed, or a layer has left
 * that the base has a part of, the layers below show what the upper one did.
 */
inline note_snapshot()
{
	if
	:: gate_is_closed ->
		for (i : 0 .. CHUNKS - 1) {
			snapshot[at(durable_top, i)] = current[i];
		}
	:: change == FINISH || change == FINISH_KEPT || change == DROP ->
		for (i : 0 .. CHUNKS - 1) {
			valid_base[i] = (change != DROP && change_covers ->
					 snapshot[at(change_layer, i)] : valid_base[i]);
			for (k : 1 .. change_layer) {
				snapshot[at(k, i)] = snapshot[at(change_layer, i)];
			}
		}
		k = 0
	:: else
	fi;
	i = 0
}

inline end_thread()
{
	thread = IDLE;
	thread_chunk = 0;
	thread_first = 0;
	thread_flushed = 0;
	buffer = 0;
	buffer_full = false;
	in_flight = false
}

/* When a group is let go of: is the next batch being written, or has it been by now? */
#define next_stage	(in_flight || thread_chunk > thread_first -> WRITTEN : \
			 (thread_chunk < CHUNKS -> GATHER : FINISH))

/* Whoever asked for the change goes on. */
inline note_change()
{
	if
	:: change == RECORD -> thread = BEGIN
	:: change == BEGIN -> thread = GATHER
	:: change == LET_GO_NEWEST -> thread = LET_GO_REST
	:: change == LET_GO ->
		thread_first = change_end;
		thread_flushed = 0;
		thread = (broken(DROP_BEFORE_COPY) -> WRITING : next_stage)
	:: change == FINISH || change == FINISH_KEPT -> end_thread()
	:: else
	fi
}


/* --- steps: kernel/journal_io.c, kernel/core/step.c --- */

inline move_stage(from, to)
{
	for (i : 1 .. ROOM) {
		stage[i] = (stage[i] == from -> to : stage[i]);
	}
	i = 0
}

inline forget_step()
{
	for (i : 0 .. CHUNKS - 1) {
		step_word[i] = 0;
	}
	i = 0;
	step = IDLE;
	step_dirty = 0;
	step_left = 0
}

/* The layers let go one by one, the oldest first. */
#define next_layer (broken(NEWEST_FIRST) -> step_left : change_layer + 1 - step_left)

active proctype journal()
{
end:
	do
	/* make_step(): words, then the change */
	:: d_step {
		power == RUNNING && step == IDLE &&
		(any_dirty || someone_waits || change != IDLE) ->
		user_served = user == WAITING;
		flusher_served = flusher == WAITING;
		change_in_step = change != IDLE;
		move_stage(FREED, IN_STEP);
		for (i : 0 .. CHUNKS - 1) {
			step_word[i] = (dirty[i] -> word[at(top, i)] : 0);
			step_dirty = step_dirty | (dirty[i] -> BIT(i) : 0);
			dirty[i] = false;
		}
		i = 0;
		step = PREFLUSH;
		printf("journal: a step begins, with words of chunks %d (a set) and %e\n",
		       step_dirty, change)
	   }
	:: d_step {
		power == RUNNING && step == PREFLUSH ->
		if
		:: broken(SKIP_STORE_FLUSH)
		:: else -> flush_store()
		fi;
		step = WRITE
	   }
	:: d_step {
		power == RUNNING && step == WRITE ->
		for (i : 0 .. CHUNKS - 1) {
			if
			:: step_dirty & BIT(i) -> durable_word[at(durable_top, i)] = step_word[i]
			:: else
			fi
		}
		i = 0;
		if
		:: change_in_step ->
			note_snapshot();
			change_durable_words();
			change_records(durable_layers, durable_top, durable_mark,
				       durable_job, durable_job_top, durable_job_retain)
		:: else
		fi;
		step_left = (change_in_step && lets_go -> change_layer : 0);
		step = APPLY;
		printf("journal: the step is durable\n")
	   }
	/* apply_let_go(): what stays first, then the words go. */
	:: d_step {
		power == RUNNING && step == APPLY && step_left > 0 ->
		if
		:: step_left == change_layer -> place_clean_words()
		:: else
		fi;
		j = next_layer;
		let_go_of_layer(j);
		j = 0;
		step_left--;
		check_layers()
	   }
	/* cowstack_step_finish(), complete_waiters(), complete_changes() */
	:: d_step {
		power == RUNNING && step == APPLY && step_left == 0 ->
		move_stage(IN_STEP, DURABLE);
		if
		:: user_served -> end_operation()
		:: else
		fi;
		if
		:: flusher_served -> end_flush()
		:: else
		fi;
		if
		:: change_in_step ->
			change_records(layers, top, mark, job, job_top, job_retain);
			note_change();
			forget_change();
			check_layers()
		:: else
		fi;
		forget_step()
	   }
	od
}
