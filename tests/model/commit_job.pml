/* SPDX-License-Identifier: GPL-2.0 */
/* Included by commit.pml: the job's thread, and messages. */

/* --- the job: kernel/commit.c, kernel/commit_sweep.c --- */

/* cowstack_range_newest(): k, the range's newest layer that knows chunk c, or 0 */
inline find_newest(c)
{
	k = 0;
	for (j : 1 .. job_top) {
		k = (word[at(j, c)] != NONE -> j : k);
	}
	j = 0
}

/* find_replacements(): what stays of the group's chunks */
inline find_what_stays()
{
	for (i : change_first .. change_end - 1) {
		find_newest(i);
		n = word[at(k, i)];
		change_stays[i] = (k && has_chunk(n) && (job_retain || is_clean(n)) -> k : 0)
	}
	i = 0;
	k = 0;
	n = 0
}

/* cowstack_range_plan(): n, what the newest word leads to, unless it is clean */
inline gather()
{
	find_newest(thread_chunk);
	n = word[at(k, thread_chunk)];
	buffer_full = k && !is_clean(n);
	if
	:: buffer_full && is_zero(n) -> buffer = n - ZERO
	:: buffer_full && !is_zero(n) -> buffer = newest[n]
	:: else -> buffer = 0
	fi;
	k = 0;
	n = 0
}

/* cowstack_job_makes_base_valid(): the layer above the range is newer than the mark. */
inline find_covers()
{
	flag = true;
	for (k : 1 .. LAYERS) {
		if
		:: k > job_top && is_there(k) ->
			change_covers = k > mark || broken(LOWER_CLEARS_MARK);
			break
		:: else
		fi
	}
	k = 0;
	flag = false
}

/* The write arrives at the disk. */
inline write_base()
{
	if
	:: buffer_full ->
		base[thread_chunk] = buffer;
		base_survives[thread_chunk] = base_survives[thread_chunk] | BIT(buffer);
		printf("job: operation %d is in the base's cache, chunk %d\n", buffer,
		       thread_chunk)
	:: else
	fi;
	buffer = 0;
	buffer_full = false;
	in_flight = false;
	thread_chunk++;
	check_layers()
}

/* Up to where a flush that is sent now makes the group durable. */
#define group_end	(thread_chunk + (broken(FLUSH_BEFORE_END) && in_flight))

/* flush_destination() */
inline flush_group()
{
	if
	:: broken(SKIP_DESTINATION_FLUSH)
	:: else ->
		flush_base();
		printf("job: the base is flushed\n")
	fi;
	thread_flushed = (broken(DROP_BEFORE_COPY) -> 0 : group_end)
}

/* What let_go() takes of chunks from thread_first on. */
#define let_go_end	(broken(DROP_BEFORE_COPY) -> thread_chunk + 1 : \
			 (broken(LET_GO_UNFLUSHED) -> thread_chunk + in_flight : thread_flushed))

inline ask_for(what)
{
	change = what;
	change_layer = job_top;
	thread = WAITING
}

active proctype committer()
{
end:
	do
	/* was_cancelled(), commit_wait(): wherever it might have to wait */
	:: d_step {
		power == RUNNING && job == CANCELLED && change == IDLE && !in_flight &&
		(thread == BEGIN || thread == GATHER || thread == LET_GO ||
		 thread == LET_GO_REST || thread == FINISH) ->
		end_thread();
		printf("job: ends, cancelled\n")
	   }
	/* run_job_once(): the mark */
	:: d_step {
		power == RUNNING && thread == BEGIN && job == RUNNING && change == IDLE ->
		if
		:: broken(NO_MARK) -> thread = GATHER
		:: else -> ask_for(BEGIN)
		fi
	   }
	/* gather_chunk() */
	:: d_step {
		power == RUNNING && thread == GATHER ->
		gather();
		thread = (broken(DROP_BEFORE_COPY) -> LET_GO : WRITING)
	   }
	/* write_batch(): begin_writing(), and then let_go_flushed() … */
	:: d_step {
		power == RUNNING && thread == WRITING ->
		in_flight = true;
		printf("job: the write of chunk %d begins\n", thread_chunk);
		thread = (thread_flushed -> LET_GO : WRITTEN)
	   }
	/* … whichever is done first. */
	:: d_step {
		power == RUNNING && in_flight ->
		write_base()
	   }
	/* end_writing(), and the group goes on, … */
	:: d_step {
		power == RUNNING && thread == WRITTEN && !in_flight && thread_chunk < CHUNKS ->
		thread = GATHER
	   }
	/* … or is full: it is flushed, and let go of while the next batch is written … */
	:: d_step {
		power == RUNNING && thread == WRITTEN && thread_chunk < CHUNKS &&
		!in_flight && !broken(DROP_BEFORE_COPY) ->
		flush_group();
		thread = GATHER
	   }
	/* settle_group(): … or at once. */
	:: d_step {
		power == RUNNING && thread == WRITTEN &&
		(!in_flight || broken(FLUSH_BEFORE_END)) ->
		flush_group();
		thread = (broken(DROP_BEFORE_COPY) -> next_stage : LET_GO)
	   }
	/* let_go() */
	:: d_step {
		power == RUNNING && thread == LET_GO && job == RUNNING && change == IDLE &&
		broken(DROP_IN_TWO_STEPS) ->
		ask_for(LET_GO_NEWEST);
		change_first = thread_first;
		change_end = let_go_end
	   }
	:: d_step {
		power == RUNNING && job == RUNNING && change == IDLE &&
		(thread == LET_GO_REST ||
		 (thread == LET_GO && !broken(DROP_IN_TWO_STEPS))) ->
		ask_for(LET_GO);
		change_first = thread_first;
		change_end = let_go_end;
		find_what_stays()
	   }
	/* finish() */
	:: d_step {
		power == RUNNING && thread == FINISH && job == RUNNING && change == IDLE ->
		n = FINISH;
		for (k : 1 .. job_top) {
			n = (has_words(k) -> FINISH_KEPT : n);
		}
		ask_for(n);
		n = 0;
		find_covers();
		printf("job: comes to its end\n")
	   }
	od
}

/* --- messages --- */

#define hides(k, l)	((k) > (l) && is_there(k) && ((k) <= mark || has_clean(k)))
/* cowstack_layer_is_whole() */
#define is_whole(l)	(!hides(2, l) && !hides(3, l) && !hides(LAYERS, l))
#define no_job		(job != RUNNING && thread == IDLE)
#define can_freeze	(top < LAYERS && has_words(top) && \
			 (broken(SNAPSHOT_NO_GATE) || user == IDLE || user == WAITING))

inline start_commit(retain)
{
	/* begin_with_snapshot() */
	d_step {
		power == RUNNING && change == IDLE && no_job && commits < COMMITS &&
		can_freeze ->
		commits++;
		change = RECORD;
		change_snapshot = true;
		change_layer = top;
		change_retain = retain;
		printf("message: commit start, of layer %d\n", top)
	}
}

inline start_commit_of(l, retain)
{
	d_step {
		power == RUNNING && change == IDLE && no_job && commits < COMMITS &&
		l < top && is_there(l) && (is_whole(l) || broken(LOWER_CLEARS_MARK)) &&
		(mark || !nothing_but_clean(l) || !nothing_but_clean(1)) ->
		commits++;
		change = RECORD;
		change_layer = l;
		change_retain = retain;
		printf("message: commit start top %d\n", l)
	}
}

inline change_of_layer(what, l)
{
	d_step {
		power == RUNNING && change == IDLE && no_job && empties < EMPTIES &&
		l < top && is_there(l) && nothing_but_clean(l) &&
		(what == DROP || has_clean(l)) ->
		empties++;
		change = what;
		change_layer = l;
		change_end = CHUNKS;
		printf("message: %e layer %d\n", change, l)
	}
}

active proctype messages()
{
end:
	do
	/* stack_snapshot(): the gate is closed when no write is in flight. */
	:: d_step {
		power == RUNNING && change == IDLE && can_freeze ->
		change = SNAPSHOT;
		printf("message: snapshot of layer %d\n", top)
	   }
	:: start_commit(false)
	:: start_commit(true)
	:: start_commit_of(1, false)
	:: start_commit_of(1, true)
	:: start_commit_of(2, false)
	:: start_commit_of(2, true)
	:: d_step {
		power == RUNNING && change == IDLE && job == RUNNING && cancels < CANCELS ->
		cancels++;
		change = CANCEL;
		printf("message: cancel\n")
	   }
	:: change_of_layer(EMPTY, 1)
	:: change_of_layer(EMPTY, 2)
	:: change_of_layer(DROP, 1)
	:: change_of_layer(DROP, 2)
	od
}
