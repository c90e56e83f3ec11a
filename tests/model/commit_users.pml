/* SPDX-License-Identifier: GPL-2.0 */
/* Included by commit.pml: users' writes, discards, flushes and reads. */

/* --- users --- */

inline begin_operation(c)
{
	issued++;
	user_chunk = c;
	user_operation = issued;
	user_layer = top;
	may_show[c] = may_show[c] | BIT(issued);
	may_survive[c] = may_survive[c] | BIT(issued);
	if
	:: reader != IDLE && reader_chunk == c -> reader_may = reader_may | BIT(issued)
	:: else
	fi
}

inline forget_operation()
{
	user = IDLE;
	user_chunk = 0;
	user_place = 0;
	user_operation = 0;
	user_layer = 0;
	user_first = false;
	user_fua = false;
	user_step = false;
	user_served = false
}

inline end_operation()
{
	may_show[user_chunk] = BIT(user_operation);
	if
	:: user_fua ->
		may_survive[user_chunk] = BIT(user_operation)
	:: else
	fi;
	printf("user: operation %d is acknowledged\n", user_operation);
	forget_operation()
}

inline free_chunk(c, to)
{
	stage[c] = to;
	printf("data chunk %d comes free\n", c)
}

/* cowstack_layer_rewritable(), find_rewrite(): n, the data chunk to write in place */
inline find_rewrite(c)
{
	n = (has_chunk(word[at(top, c)]) -> word[at(top, c)] : NONE);
#if FAULT == OVERWRITE_CLEAN
	if
	:: word[at(top, c)] == NONE ->
		for (k : 1 .. top) {
			n = (word[at(k, c)] != NONE -> word[at(k, c)] : n);
		}
		k = 0;
		n = (is_clean(n) -> data_of(n) : NONE)
	:: else
	fi
#endif
}

inline take_free_chunk()
{
	for (k : 1 .. ROOM) {
		if
		:: n == NONE && stage[k] == FREE -> n = k
		:: else
		fi
	}
	k = 0;
	stage[n] = TAKEN
}

/* Chunks are alike: the first operation is on the first. */
#define can_begin(c)	(issued < WRITES && (issued > 0 || (c) == 0))

/* map_write(): direct_rewrite() or map_first_write() */
inline begin_write(c, fua)
{
	d_step {
		power == RUNNING && user == IDLE && can_begin(c) && !gate_is_closed &&
		(has_chunk(word[at(top, c)]) || any_free) ->
		begin_operation(c);
		find_rewrite(c);
		if
		:: n == NONE ->
			user_first = true;
			take_free_chunk()
		:: else
		fi;
		user_place = n;
		n = 0;
		user_fua = fua;
		user_step = fua && (user_first || any_dirty || step != IDLE);
		user = WRITING;
		printf("user: operation %d, a write to chunk %d, begins; it goes to data chunk %d (layer %d)\n",
		       issued, c, user_place, top);
		say_fua(fua)
	}
}

/* zero_chunk() */
inline do_discard(c)
{
	d_step {
		power == RUNNING && user == IDLE && can_begin(c) && !gate_is_closed &&
		!is_zero(word[at(top, c)]) ->
		begin_operation(c);
		printf("user: operation %d, a discard of chunk %d (layer %d)\n", issued, c, top);
		n = word[at(top, c)];
		current[c] = issued;
		word[at(top, c)] = ZERO + issued;
		dirty[c] = true;
		if
		:: n != NONE -> free_chunk(n, (broken(REUSE_BEFORE_DURABLE) -> DURABLE : FREED))
		:: else
		fi;
		n = 0;
		end_operation()
	}
}

active proctype users()
{
end:
	do
	:: begin_write(0, false)
	:: begin_write(1, false)
	:: begin_write(0, true)
	:: do_discard(0)
	:: do_discard(1)
	/* The write arrives at the disk. */
	:: d_step {
		power == RUNNING && user == WRITING ->
		newest[user_place] = user_operation;
		survives[user_place] = survives[user_place] | BIT(user_operation);
		if
		:: user_fua && !user_step ->
			survives[user_place] = BIT(user_operation)
		:: else
		fi;
		user = WRITTEN;
		check_layers();
		printf("user: operation %d is in data chunk %d's cache\n",
		       user_operation, user_place)
	   }
	/* io_end() */
	:: d_step {
		power == RUNNING && user == WRITTEN ->
		if
		:: user_first ->
			word[at(user_layer, user_chunk)] = user_place;
			dirty[user_chunk] = true
		:: else
		fi;
		current[user_chunk] = user_operation;
		reclaim_waits = reclaim_waits & ~BIT(0);
		if
		:: user_step && !broken(EARLY_FUA) -> user = WAITING
		:: else -> end_operation()
		fi
	   }
	od
}

/* io_map_flush() */
inline end_flush()
{
	for (i : 0 .. CHUNKS - 1) {
		may_survive[i] = may_survive[i] & ~flusher_ends[i];
		flusher_ends[i] = 0;
	}
	i = 0;
	flusher = IDLE;
	flusher_served = false;
	printf("flush: acknowledged\n")
}

inline flush_store()
{
	for (i : 1 .. ROOM) {
		survives[i] = BIT(newest[i]);
	}
	i = 0
}

inline flush_base()
{
	for (i : 0 .. CHUNKS - 1) {
		base_survives[i] = BIT(base[i]);
	}
	i = 0
}

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
		printf("flush: begins\n");
		if
		:: any_dirty || step != IDLE -> flusher = WAITING
		:: else ->
			flush_store();
			end_flush()
		fi
	   }
	od
}

/* --- reads --- */

inline forget_read()
{
	reader = IDLE;
	reader_chunk = 0;
	reader_layer = 0;
	reader_place = 0;
	reader_may = 0
}

inline look_up(c)
{
	d_step {
		power == RUNNING && reader == IDLE && reads < READS && issued > 0 ->
		reads++;
		reader = LOOKING;
		reader_chunk = c;
		reader_layer = top;
		reader_may = may_show[c];
		printf("reader: looks for chunk %d\n", c)
	}
}

inline get_operation(o)
{
	printf("reader: gets operation %d\n", o);
	read_is_right = (reader_may & BIT(o)) != 0;
	assert(read_is_right);
	reclaim_waits = reclaim_waits & ~BIT(1);
	forget_read()
}

#define reader_word	word[at(reader_layer, reader_chunk)]

/* map_read() and cowstack_chain_resolve(): from the top down, and no lock */
active proctype user_read()
{
end:
	do
	:: look_up(0)
	:: look_up(1)
	:: d_step {
		power == RUNNING && reader == LOOKING ->
		if
		:: is_zero(reader_word) -> get_operation(reader_word - ZERO)
		:: has_chunk(reader_word) ->
			reader_place = data_of(reader_word);
			reader = READING;
			printf("reader: finds data chunk %d in layer %d\n",
			       reader_place, reader_layer)
		:: else ->
			reader_layer--;
			if
			:: reader_layer == 0 ->
				reader = READING_BASE;
				reclaim_waits = reclaim_waits & ~BIT(1);
				printf("reader: finds no layer that knows it\n")
			:: else
			fi
		fi
	   }
	:: d_step {
		power == RUNNING && reader == READING ->
		get_operation(newest[reader_place])
	   }
	:: d_step {
		power == RUNNING && reader == READING_BASE ->
		get_operation(base[reader_chunk])
	   }
	od
}
