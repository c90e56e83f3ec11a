/* SPDX-License-Identifier: GPL-2.0 */
/* Included by journal.pml: users' writes, discards, flushes and reads. */

/* --- users --- */

/* map_page_publish(), in io_end() */
inline publish(u)
{
	word[user_chunk[u]] = user_place[u];
	room[user_chunk[u]] = NONE;
	dirty[user_chunk[u]] = true;
	user_first[u] = false
}

/* Begin of a write: map_write() in kernel/io_map.c, map_first_write() where the top
 * does not hold the chunk, direct_rewrite() where it does. */
inline begin_write(u, c, fua)
{
	d_step {
		power == RUNNING && user[u] == IDLE && can_begin(c) &&
		!in_discard(0, c) && !in_discard(1, c) &&
		(is_data(word[c]) || room[c] || any_stage(FREE)) ->
		begin_operation(u, c);
		if
		:: is_data(word[c]) -> user_place[u] = word[c]
		:: else ->
			user_first[u] = true;
			if
			:: room[c] == NONE ->
				find_free_chunk();
				room[c] = n;
				stage[n] = TAKEN;
				n = 0
			:: else
			fi;
			user_place[u] = room[c]
		fi;
		user_fua[u] = fua;
		/* Else it is one FUA write. */
		user_step[u] = fua && (user_first[u] || any_dirty || step_running);
		user[u] = WRITING;
		if
		:: broken(WORD_BEFORE_DATA) && user_first[u] -> publish(u)
		:: else
		fi;
		printf("user %d: operation %d, a write to chunk %d, begins; it goes to data chunk %d\n",
		       u, issued, c, user_place[u]);
		say_fua(fua)
	}
}

/* The write arrives at the disk. */
inline write_arrives(u)
{
	d_step {
		power == RUNNING && user[u] == WRITING ->
		i = user_place[u];
		newest[i] = user_operation[u];
		survives[i] = survives[i] | BIT(user_operation[u]);
		if
		:: user_fua[u] && !user_step[u] ->
			survives[i] = BIT(user_operation[u])
		:: else
		fi;
		i = 0;
		user[u] = WRITTEN;
		printf("user %d: operation %d is in data chunk %d's cache\n", u,
		       user_operation[u], user_place[u])
	}
}

/* io_end() in kernel/io_map.c */
inline write_ends(u)
{
	d_step {
		power == RUNNING && user[u] == WRITTEN ->
		if
		:: user_first[u] -> publish(u)
		:: else
		fi;
		leave_drain(u);
		if
		:: user_step[u] && !broken(EARLY_FUA) ->
			user[u] = WAITING;
			printf("user %d: operation %d has ended and waits for a step\n",
			       u, user_operation[u])
		:: else -> end_operation(u)
		fi
	}
}

inline make_zero(u)
{
	word[user_chunk[u]] = ZERO + user_operation[u];
	dirty[user_chunk[u]] = true
}

/* cowstack_allocator_free() */
inline free_old_chunk(u)
{
	if
	:: user_place[u] == NONE
	:: else ->
		stage[user_place[u]] = (broken(REUSE_BEFORE_DURABLE) -> DURABLE : FREED);
		printf("data chunk %d comes free\n", user_place[u])
	fi
}

/* zero_chunk() in kernel/io_slow.c: the word, then the chunk that it named. */
inline begin_discard(u, c)
{
	d_step {
		power == RUNNING && user[u] == IDLE && can_begin(c) &&
		!in_discard(0, c) && !in_discard(1, c) &&
		!in_first_write(0, c) && !in_first_write(1, c) &&
		!is_zero(word[c]) ->
		begin_operation(u, c);
		user[u] = FREEING;
		user_place[u] = word[c];
		printf("user %d: operation %d, a discard of chunk %d, begins\n", u,
		       issued, c);
		if
		:: broken(FREED_BEFORE_WORD) -> free_old_chunk(u)
		:: else -> make_zero(u)
		fi
	}
}

inline end_discard(u)
{
	d_step {
		power == RUNNING && user[u] == FREEING ->
		if
		:: broken(FREED_BEFORE_WORD) -> make_zero(u)
		:: else -> free_old_chunk(u)
		fi;
		leave_drain(u);
		end_operation(u)
	}
}

/* Writes, with FUA and without. */
active proctype writer()
{
end:
	do
	:: begin_write(0, 0, false)
	:: begin_write(0, 1, false)
	:: begin_write(0, 0, true)
	:: begin_write(0, 1, true)
	:: write_arrives(0)
	:: write_ends(0)
	od
}

/* Writes and discards. */
active proctype discarder()
{
end:
	do
	:: begin_write(1, 0, false)
	:: begin_write(1, 1, false)
	:: write_arrives(1)
	:: write_ends(1)
	:: begin_discard(1, 0)
	:: begin_discard(1, 1)
	:: end_discard(1)
	od
}

/* io_map_flush() and journal_is_dirty() */
active proctype user_flush()
{
end:
	do
	:: d_step {
		power == RUNNING && flusher == IDLE && flushes < FLUSHES && issued > 0 ->
		flushes++;
		for (i : 0 .. CHUNKS - 1) {
			flusher_ends[i] = may_survive[i] & ~may_show[i];
		}
		i = 0;
		flusher = (any_dirty || (step_running && !broken(FLUSH_PASSES_STEP)) ->
			   WAITING : PLAIN);
		printf("flush: begins, %e\n", flusher)
	   }
	:: d_step {
		power == RUNNING && flusher == PLAIN ->
		flush_store();
		end_flush()
	   }
	od
}

/* map_read(): a lookup, and what the disk returns later. */
inline look_up(c)
{
	d_step {
		power == RUNNING && reader == IDLE && reads < READS &&
		is_data(word[c]) ->
		reads++;
		reader = WAITING;
		reader_chunk = c;
		reader_place = word[c];
		reader_may = may_show[c];
		printf("reader: finds chunk %d in data chunk %d\n", c, reader_place)
	}
}

inline forget_read()
{
	reader = IDLE;
	reader_chunk = 0;
	reader_place = 0;
	reader_may = 0
}

active proctype user_read()
{
end:
	do
	:: look_up(0)
	:: look_up(1)
	:: d_step {
		power == RUNNING && reader == WAITING ->
		printf("reader: gets operation %d from data chunk %d\n",
		       newest[reader_place], reader_place);
		read_is_right = (reader_may & BIT(newest[reader_place])) != 0;
		assert(read_is_right);
		leave_drain(2);
		forget_read()
	   }
	od
}
