/* SPDX-License-Identifier: GPL-2.0 */
/* Included by layers.pml: changes, and the durable steps that carry them. */

inline forget_change()
{
	change = IDLE;
	change_in_step = false;
	change_kind = COMMIT;
	change_to = 0;
	change_of = 0;
	change_word = 0
}

/* Layers below @upper, from @lower on; a set */
#define layers_between(lower, upper)	((BIT(upper) - 1) & ~(BIT(lower) - 1))
/* Those that a job takes from, and those that show no point in time meanwhile. */
#define sources(kind, to, of)	((kind) == COMMIT -> layers_between((to) + 1, (of) + 1) : \
				 layers_between(1, to))
#define flagged(kind, to, of)	((kind) == COMMIT -> layers_between(to, of) : \
				 layers_between(1, to))

/* What the change makes of the records L (layers), T (top), M (mixed), and the job's. */
inline change_records(L, T, M, J, K, TO, OF)
{
	if
	:: change == SNAPSHOT ->
		T = T + 1;
		L = L | BIT(T)
	:: change == RECORD ->
		J = RUNNING;
		K = change_kind;
		TO = change_to;
		OF = change_of
	/* cowstack_change_mix() */
	:: change == BEGIN && !broken(UNFLAGGED) ->
		M = M | flagged(change_kind, change_to, change_of)
	:: change == CANCEL -> J = (J == RUNNING -> CANCELLED : J)
	/* encode_remove(), encode_unmixed(); encode_pull() */
	:: change == FINISH ->
		J = COMPLETED;
		L = L & ~sources(change_kind, change_to, change_of);
		M = M & L;
		M = (change_kind == COMMIT -> M & ~BIT(change_to) : M)
	:: else
	fi
}

#define lets_go		(change == LET_GO || change == LET_GO_NEWEST)

/* Does layer l let go of its word by this change? */
#define lets_go_of(l)	((layers & sources(change_kind, change_to, change_of) & BIT(l)) && \
			 (change == LET_GO || \
			  !((layers & sources(change_kind, change_to, change_of)) >> ((l) + 1))))

/* encode_let_go() */
inline change_durable_words()
{
	for (i : 1 .. LAYERS) {
		durable_word[i] = (lets_go && lets_go_of(i) -> NONE : durable_word[i]);
	}
	i = 0;
	if
	:: change == LET_GO -> durable_word[change_to] = change_word
	:: else
	fi
}

/* What a layer is a snapshot of; that into which was committed, of the newer one. */
inline note_snapshot()
{
	for (i : 0 .. PIECES - 1) {
		if
		:: change == SNAPSHOT -> snapshot[at(durable_top, i)] = current[i]
		:: change == FINISH && change_kind == COMMIT ->
			snapshot[at(change_to, i)] = snapshot[at(change_of, i)]
		:: else
		fi
	}
	i = 0
}

inline end_thread()
{
	thread = IDLE;
	locked = false;
	gathered = 0;
	for (i : 0 .. PIECES - 1) {
		buffer[i] = GARBAGE;
	}
	i = 0
}

/* Whoever asked for the change goes on. */
inline note_change()
{
	if
	:: change == RECORD -> thread = BEGIN
	:: change == BEGIN -> thread = GATHER
	:: change == LET_GO_NEWEST -> thread = LET_GO_REST
	:: change == LET_GO -> thread = (broken(DROP_BEFORE_COPY) -> PLACE : UNLOCK)
	:: change == FINISH -> end_thread()
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
	step = IDLE;
	step_dirty = false;
	step_word = 0;
	step_placed = false;
	step_noted = false
}

/* exchange_word(): layer l's word becomes w; its chunk comes free unless that is kept. */
inline exchange_word(l, w)
{
	n = chunk_of(word[l]);
	word[l] = w;
	if
	:: n != NONE && n != chunk_of(change_word) -> free_chunk(n, DURABLE)
	:: else
	fi;
	n = 0
}

#define has_to_go(l)	(lets_go_of(l) && word[l] != NONE)
#define any_has_to_go	(has_to_go(1) || has_to_go(2) || has_to_go(LAYERS))
#define applies		(power == RUNNING && step == APPLY && change_in_step && lets_go)

active proctype journal()
{
end:
	do
	/* make_step(): words, then the change */
	:: d_step {
		power == RUNNING && step == IDLE &&
		(dirty || someone_waits || change != IDLE) ->
		user_served = user == WAITING;
		flusher_served = flusher == WAITING;
		change_in_step = change != IDLE;
		move_stage(FREED, IN_STEP);
		step_dirty = dirty;
		step_word = (dirty -> word[top] : 0);
		dirty = false;
		step = PREFLUSH;
		printf("journal: a step begins, with words %d and %e\n", step_dirty, change)
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
		/* Room alone is in no word on disk: map_word_durable(). */
		if
		:: step_dirty -> durable_word[durable_top] = step_word
		:: else
		fi;
		if
		:: change_in_step ->
			note_snapshot();
			change_durable_words();
			change_records(durable_layers, durable_top, durable_mixed, durable_job,
				       durable_kind, durable_to, durable_of)
		:: else
		fi;
		step = APPLY;
		printf("journal: the step is durable\n")
	   }
	/* apply_let_go(): place_replacements() … */
	:: d_step {
		applies && !step_placed ->
		if
		:: change == LET_GO -> exchange_word(change_to, change_word)
		:: else
		fi;
		step_placed = true;
		check_layers()
	   }
	/* … cowstack_volume_note_move() … */
	:: d_step {
		applies && step_placed && !step_noted ->
		moves = moves + (change_kind == STREAM -> 1 : 0);
		step_noted = true
	   }
	/* … and clear_words(), the oldest first. */
	:: d_step {
		applies && step_noted && any_has_to_go ->
		for (i : 1 .. LAYERS) {
			if
			:: has_to_go(i) -> break
			:: else
			fi
		}
		printf("layer %d lets go\n", i);
		exchange_word(i, NONE);
		check_layers()
	   }
	/* cowstack_step_finish(), complete_waiters(), complete_changes() */
	:: d_step {
		power == RUNNING && step == APPLY &&
		(!change_in_step || !lets_go || (step_noted && !any_has_to_go)) ->
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
			change_records(layers, top, mixed, job, kind, job_to, job_of);
			note_change();
			forget_change();
			check_layers()
		:: else
		fi;
		forget_step()
	   }
	od
}
