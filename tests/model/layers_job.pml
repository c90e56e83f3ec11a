/* SPDX-License-Identifier: GPL-2.0 */
/* Included by layers.pml: the job's thread, and messages. */

inline forget_plan()
{
	plan_word = 0;
	plan_copied = 0;
	plan_open = 0;
	plan_home = 0;
	plan_zero = 0;
	for (i : 0 .. PIECES - 1) {
		plan_from[i] = 0;
	}
	i = 0
}

/* One word, those above it having been looked at: the first that has data of its own
 * to show gives its chunk, of others that data is copied. */
inline plan_for(w)
{
	j = (zero_of(w) -> plan_open : mask_of(w) & plan_open);
	plan_zero = (j & ~mask_of(w) -> zero_of(w) : plan_zero);
	plan_open = plan_open & ~j;
	j = j & mask_of(w);
	if
	:: j && plan_home == NONE -> plan_home = w
	:: j && plan_home != NONE ->
		plan_copied = plan_copied | j;
		for (k : 0 .. PIECES - 1) {
			plan_from[k] = (j & BIT(k) -> place(chunk_of(w), k) : plan_from[k]);
		}
		k = 0
	:: else
	fi;
	j = 0
}

/* cowstack_range_merge() of a commit, cowstack_stream_plan() of a stream */
inline plan()
{
	plan_open = full_mask;
	for (i : 1 .. LAYERS) {
		n = LAYERS + 1 - i;
		if
		:: n == job_to || (layers & sources(kind, job_to, job_of) & BIT(n)) ->
			plan_for(word[n])
		:: else
		fi
	}
	i = 0;
	n = 0;
	plan_word = make_word(chunk_of(plan_home), mask_of(plan_home) | plan_copied,
			      (plan_zero -> plan_zero : zero_of(plan_home)))
}

/* What was gathered goes to the chunk that stays, and what was not by now. */
inline write_copies()
{
	for (i : 0 .. PIECES - 1) {
		if
		:: plan_copied & BIT(i) ->
			j = (gathered & BIT(i) -> buffer[i] : newest[plan_from[i]]);
			n = place(chunk_of(plan_word), i);
			newest[n] = j;
			survives[n] = survives[n] | BIT(j);
			printf("job: operation %d is copied to data chunk %d, in its cache\n",
			       j, chunk_of(plan_word))
		:: else
		fi
	}
	i = 0;
	j = 0;
	n = 0;
	check_layers()
}

inline ask_for(what, w)
{
	change = what;
	change_kind = kind;
	change_to = job_to;
	change_of = job_of;
	change_word = w;
	thread = WAITING
}

#define in_first_write	(user_first && (user == WRITING || user == WRITTEN))
/* A stream holds chain_mutex from before it plans until its step is applied. */
#define chain_is_free	(change == IDLE && !(kind == STREAM && \
			 (thread == PLACE || thread == LET_GO || thread == LET_GO_REST)))

/* kernel/commit.c; commit_sweep.c of a commit, stream_sweep.c of a stream */
active proctype committer()
{
end:
	do
	:: d_step {
		power == RUNNING && job == CANCELLED && change == IDLE &&
		(thread == BEGIN || thread == GATHER || thread == LOCK || thread == LET_GO ||
		 thread == LET_GO_REST || thread == FINISH) ->
		end_thread();
		forget_plan();
		printf("job: ends, cancelled\n")
	   }
	/* prepare_begin() */
	:: d_step {
		power == RUNNING && thread == BEGIN && job == RUNNING && change == IDLE ->
		ask_for(BEGIN, NONE)
	   }
	/* gather_chunk(); of a stream without any lock */
	:: d_step {
		power == RUNNING && thread == GATHER ->
		plan();
		for (i : 0 .. PIECES - 1) {
			if
			:: plan_copied & BIT(i) ->
				buffer[i] = newest[plan_from[i]];
				gathered = gathered | BIT(i)
			:: else
			fi
		}
		i = 0;
		if
		:: broken(PLANNED_UNLOCKED)
		:: else -> forget_plan()
		fi;
		thread = LOCK
	   }
	/* lock_entries(); a commit's layers do not change but by itself */
	:: d_step {
		power == RUNNING && thread == LOCK && change == IDLE && job == RUNNING &&
		!(kind == STREAM && in_first_write) ->
		locked = kind == STREAM;
		thread = PLACE
	   }
	/* place_entry(); find_replacement() */
	:: d_step {
		power == RUNNING && thread == PLACE && !broken(DROP_BEFORE_COPY) ->
		if
		:: broken(PLANNED_UNLOCKED)
		:: else -> plan()
		fi;
		write_copies();
		thread = LET_GO
	   }
	:: d_step {
		power == RUNNING && thread == PLACE && broken(DROP_BEFORE_COPY) ->
		if
		:: plan_word == NONE ->
			plan();
			thread = LET_GO
		:: else ->
			write_copies();
			thread = UNLOCK
		fi
	   }
	/* let_go(); make_step() of a stream */
	:: d_step {
		power == RUNNING && thread == LET_GO && job == RUNNING && change == IDLE &&
		broken(DROP_IN_TWO_STEPS) ->
		ask_for(LET_GO_NEWEST, plan_word)
	   }
	:: d_step {
		power == RUNNING && job == RUNNING && change == IDLE &&
		(thread == LET_GO_REST ||
		 (thread == LET_GO && !broken(DROP_IN_TWO_STEPS))) ->
		ask_for(LET_GO, plan_word);
		if
		:: broken(DROP_BEFORE_COPY)
		:: else -> forget_plan()
		fi
	   }
	/* unlock_entries() */
	:: d_step {
		power == RUNNING && thread == UNLOCK ->
		locked = false;
		forget_plan();
		thread = FINISH
	   }
	/* finish() */
	:: d_step {
		power == RUNNING && thread == FINISH && job == RUNNING && change == IDLE ->
		ask_for(FINISH, NONE);
		printf("job: comes to its end\n")
	   }
	od
}

/* --- messages --- */

#define no_job		(job != RUNNING && thread == IDLE)
#define can_start	(power == RUNNING && chain_is_free && no_job && jobs < JOBS)
/* cowstack_layer_is_whole() */
#define shows_a_time(l)	(is_there(l) && ((l) == top || !is_mixed(l)))

inline start_commit(to, upper)
{
	d_step {
		can_start && upper < top && is_there(to) && shows_a_time(upper) ->
		jobs++;
		change = RECORD;
		change_kind = COMMIT;
		change_to = to;
		change_of = upper;
		printf("message: commit start base %d top %d\n", to, upper)
	}
}

inline start_stream(to)
{
	d_step {
		can_start && shows_a_time(to) && (layers & layers_between(1, to)) ->
		jobs++;
		change = RECORD;
		change_kind = STREAM;
		change_to = to;
		printf("message: stream start top %d\n", to)
	}
}

active proctype messages()
{
end:
	do
	/* stack_snapshot() */
	:: d_step {
		power == RUNNING && chain_is_free && top < LAYERS && word[top] != NONE &&
		(user == IDLE || user == WAITING) ->
		change = SNAPSHOT;
		printf("message: snapshot of layer %d\n", top)
	   }
	:: start_commit(1, 2)
	:: start_stream(2)
	:: start_stream(3)
	:: d_step {
		power == RUNNING && chain_is_free && job == RUNNING && cancels < CANCELS ->
		cancels++;
		change = CANCEL;
		printf("message: cancel\n")
	   }
	od
}
