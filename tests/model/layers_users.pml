/* SPDX-License-Identifier: GPL-2.0 */
/* Included by layers.pml: users' writes, discards, flushes and reads. */

inline begin_operation()
{
	issued++;
	user_operation = issued;
	user_layer = top
}

inline may_come(p)
{
	may_show[p] = may_show[p] | BIT(issued);
	may_survive[p] = may_survive[p] | BIT(issued);
	if
	:: reader != IDLE && reader_piece == p -> reader_may = reader_may | BIT(issued)
	:: else
	fi
}

inline forget_operation()
{
	user = IDLE;
	user_piece = 0;
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
	may_show[user_piece] = BIT(user_operation);
	if
	:: user_fua -> may_survive[user_piece] = BIT(user_operation)
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

/* n: a free chunk, taken */
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

/* Pieces are alike: the first operation is on the first. */
#define can_begin(p)	(issued < WRITES && (issued > 0 || (p) == 0))

/* map_write(): direct_rewrite() or, under the range lock, map_first_write() */
inline begin_write(p, fua)
{
	d_step {
		power == RUNNING && user == IDLE && can_begin(p) && change != SNAPSHOT &&
		(has_piece(word[top], p) ||
		 (!locked && (chunk_of(word[top]) || any_stage(FREE)))) ->
		begin_operation();
		may_come(p);
		user_piece = p;
		user_first = !has_piece(word[top], p);
		n = chunk_of(word[top]);
		if
		:: n == NONE -> take_free_chunk()
		:: else
		fi;
		user_place = n;
		n = 0;
		user_fua = fua;
		user_step = fua && (user_first || dirty || step != IDLE);
		user = WRITING;
		printf("user: operation %d, a write to piece %d, begins; it goes to data chunk %d (layer %d)\n",
		       issued, p, user_place, top);
		say_fua(fua)
	}
}

active proctype users()
{
end:
	do
	:: begin_write(0, false)
	:: begin_write(1, false)
	:: begin_write(0, true)
	/* The write arrives at the disk. */
	:: d_step {
		power == RUNNING && user == WRITING ->
		n = place(user_place, user_piece);
		newest[n] = user_operation;
		survives[n] = survives[n] | BIT(user_operation);
		if
		:: user_fua && !user_step -> survives[n] = BIT(user_operation)
		:: else
		fi;
		n = 0;
		user = WRITTEN;
		check_layers();
		printf("user: operation %d is in data chunk %d's cache\n",
		       user_operation, user_place)
	   }
	/* io_end(), map_page_publish() */
	:: d_step {
		power == RUNNING && user == WRITTEN ->
		if
		:: user_first ->
			n = word[user_layer];
			word[user_layer] = make_word(user_place, mask_of(n) | BIT(user_piece),
						     zero_of(n));
			dirty = true;
			n = 0
		:: else
		fi;
		current[user_piece] = user_operation;
		reclaim_waits = reclaim_waits & ~BIT(0);
		if
		:: user_step && !broken(EARLY_FUA) -> user = WAITING
		:: else -> end_operation()
		fi
	   }
	/* zero_chunk(), under the range lock */
	:: d_step {
		power == RUNNING && user == IDLE && can_begin(0) && change != SNAPSHOT &&
		!locked && !(zero_of(word[top]) && !mask_of(word[top])) ->
		begin_operation();
		printf("user: operation %d, a discard (layer %d)\n", issued, top);
		n = chunk_of(word[top]);
		word[top] = make_word(NONE, 0, issued);
		dirty = true;
		if
		:: n != NONE -> free_chunk(n, (broken(REUSE_BEFORE_DURABLE) -> DURABLE : FREED))
		:: else
		fi;
		n = 0;
		for (i : 0 .. PIECES - 1) {
			may_come(i);
			may_show[i] = BIT(issued);
			current[i] = issued;
		}
		i = 0;
		forget_operation()
	   }
	od
}

inline end_flush()
{
	for (i : 0 .. PIECES - 1) {
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
	for (i : PIECES .. PLACES - 1) {
		survives[i] = BIT(newest[i]);
	}
	i = 0
}

/* io_map_flush() */
active proctype user_flush()
{
end:
	do
	:: d_step {
		power == RUNNING && flusher == IDLE && flushes < FLUSHES && issued > 0 ->
		flushes++;
		for (i : 0 .. PIECES - 1) {
			flusher_ends[i] = may_survive[i] & ~may_show[i];
		}
		i = 0;
		printf("flush: begins\n");
		if
		:: dirty || step != IDLE -> flusher = WAITING
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
	reader_piece = 0;
	reader_layer = 0;
	reader_moves = 0;
	reader_place = 0;
	reader_value = 0;
	reader_may = 0
}

inline look_up(p)
{
	d_step {
		power == RUNNING && reader == IDLE && reads < READS && issued > 0 ->
		reads++;
		reader = LOOKING;
		reader_piece = p;
		reader_layer = top;
		reader_moves = moves;
		reader_may = may_show[p];
		printf("reader: looks for piece %d\n", p)
	}
}

#define reader_word	word[reader_layer]

/* cowstack_chain_resolve(): from the top down, and no lock; again if words went up */
active proctype user_read()
{
end:
	do
	:: look_up(0)
	:: look_up(1)
	:: d_step {
		power == RUNNING && reader == LOOKING ->
		if
		:: reader_layer == 0 -> reader = FOUND
		:: reader_layer && has_piece(reader_word, reader_piece) ->
			reader_place = place(chunk_of(reader_word), reader_piece);
			reader = FOUND;
			printf("reader: finds data chunk %d in layer %d\n",
			       chunk_of(reader_word), reader_layer)
		:: reader_layer && !has_piece(reader_word, reader_piece) &&
		   zero_of(reader_word) ->
			reader_value = zero_of(reader_word);
			reader = FOUND
		:: else -> reader_layer--
		fi
	   }
	:: d_step {
		power == RUNNING && reader == FOUND ->
		if
		:: reader_moves != moves && !broken(MOVES_UNSEEN) ->
			reader = LOOKING;
			reader_layer = top;
			reader_moves = moves;
			reader_place = 0;
			reader_value = 0
		:: else -> reader = READING
		fi
	   }
	:: d_step {
		power == RUNNING && reader == READING ->
		n = (reader_place -> newest[reader_place] : reader_value);
		printf("reader: gets operation %d\n", n);
		read_is_right = (reader_may & BIT(n)) != 0;
		assert(read_is_right);
		n = 0;
		reclaim_waits = reclaim_waits & ~BIT(1);
		forget_read()
	   }
	od
}
