/* SPDX-License-Identifier: GPL-2.0 */
/* Included by journal.pml: power cuts and recovery. */

/* --- power --- */

/* Memory is gone, and what nobody flushed of the blocks; of data chunks it shows
 * when they are looked at (choose_survivors()). */
inline lose_all()
{
	for (i : 0 .. USERS - 1) {
		forget_operation(i);
	}
	for (i : 0 .. CHUNKS - 1) {
		word[i] = NONE;
		room[i] = NONE;
		dirty[i] = false;
		home_dirty[i] = false;
		home[i] = 0;
		flusher_ends[i] = 0;
	}
	for (i : 1 .. BLOCKS) {
		block[i] = (block_durable[i] -> block[i] : UNCHANGED);
		block_durable[i] = true;
		block_used[i] = false;
	}
	for (i : 0 .. INDEXES - 1) {
		index_tail[i] = (index_durable[i] -> index_tail[i] : 0);
		index_durable[i] = true;
	}
	for (i : 1 .. ROOM) {
		stage[i] = FREE;
	}
	i = 0;
	flusher = IDLE;
	flusher_served = false;
	forget_read();
	forget_step();
	forget_checkpoint();
	reclaim = IDLE;
	reclaim_waits = 0;
	head = 0;
	tail = 0;
	index_used = 0
}

active proctype power_cut()
{
end:
	do
	:: d_step {
		power != OFF && crashes < CRASHES && issued > 0 ->
		crashes++;
		lose_all();
		power = OFF;
		printf("power: cut\n")
	   }
	od
}

/* --- recovery --- */

/* load_superblock(), load_index(), load_pages() in kernel/core/load.c */
inline load_home()
{
	best = (superblock[0] >= superblock[1] -> 0 : 1);
	n = superblock_index[best];
	store_loads = superblock[best] && index_tail[n];
	assert(store_loads);
	index_used = n;
	tail = index_tail[n];
	head = tail;
	for (i : 0 .. CHUNKS - 1) {
		home[i] = index_home[n * CHUNKS + i];
		if
		:: home[i] ->
			word[i] = block[home[i]];
			block_used[home[i]] = true;
			store_loads = word[i] == index_word[n * CHUNKS + i];
			assert(store_loads)
		:: else
		fi
	}
	i = 0;
	n = 0;
	best = 0
}

inline replay()
{
	do
	:: log_step[head % RING] == head ->
		for (i : 0 .. CHUNKS - 1) {
			n = log_word[(head % RING) * CHUNKS + i];
			if
			:: n != UNCHANGED ->
				word[i] = n;
				home_dirty[i] = true;
				printf("recovery: step %d sets chunk %d's word to %d\n",
				       head, i, n)
			:: else
			fi
		}
		head++
	:: else -> break
	od;
	/* check_ring_end() */
	for (i : 0 .. RING - 1) {
		store_loads = log_step[i] < head;
		assert(store_loads);
	}
	i = 0;
	n = 0
}

inline claim_all()
{
	for (i : 0 .. CHUNKS - 1) {
		if
		:: is_data(word[i]) ->
			chunk_has_one_owner = stage[word[i]] == FREE;
			assert(chunk_has_one_owner);
			stage[word[i]] = TAKEN
		:: else
		fi
	}
	i = 0
}

/* load_journal() in kernel/core/load.c, apply_words() in kernel/core/load_records.c */
/* claim_all() in kernel/core/load.c: what nothing names is free. */
/* Of a chunk that is named any of what may have survived; others nobody may read. */
#define survivor(k)						\
	d_step {						\
		n <= ROOM && stage[n] == TAKEN &&		\
		(survives[n] & BIT(k)) ->			\
		newest[n] = (k);				\
		survives[n] = BIT(k);				\
		printf("recovery: data chunk %d holds operation %d\n", n, k); \
		n++						\
	}

/* From n on. */
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
	:: n > ROOM -> break
	od
}

inline check_content()
{
	for (i : 0 .. CHUNKS - 1) {
		if
		:: is_data(word[i]) -> n = newest[word[i]]
		:: is_zero(word[i]) -> n = word[i] - ZERO
		:: else -> n = 0
		fi;
		printf("recovery: chunk %d shows operation %d\n", i, n);
		acknowledged_is_kept = (may_survive[i] & BIT(n)) != 0;
		assert(acknowledged_is_kept);
		may_show[i] = BIT(n);
		may_survive[i] = BIT(n);
	}
	i = 0;
	n = 0
}

/* The superblock that has to be written anew, if one is damaged or old; 2: none. */
#define superblock_to_mend (superblock[0] == superblock[1] -> 2 : \
			    (superblock[0] < superblock[1] -> 0 : 1))

active proctype recovery()
{
end:
	do
	/* cowstack_load(): it writes nothing, so it is one action. */
	:: atomic {
		d_step {
			power == OFF ->
			load_home();
			replay();
			claim_all();
			n = 1
		};
		choose_survivors();
		d_step {
			check_content();
			power = (superblock_to_mend == 2 || broken(SUPERBLOCK_UNMENDED) ->
				 RUNNING : LOADED)
		}
	   }
	/* store_mend_superblock() in kernel/store.c; a crash may tear it. */
	:: d_step {
		power == LOADED ->
		superblock[superblock_to_mend] = 0;
		power = MENDING
	   }
	:: d_step {
		power == MENDING ->
		n = superblock_to_mend;
		superblock[n] = superblock[1 - n];
		superblock_index[n] = superblock_index[1 - n];
		n = 0;
		forget_dead();
		power = RUNNING;
		printf("recovery: the older superblock is written anew\n")
	   }
	od
}

/* Nobody waits for ever. */
active proctype watch()
{
	timeout ->
	all_come_to_their_end = user[0] == IDLE && user[1] == IDLE &&
		flusher == IDLE && reader == IDLE && step == IDLE &&
		reclaim == IDLE && checkpoint == IDLE;
	assert(all_come_to_their_end)
}
