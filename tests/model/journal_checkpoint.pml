/* SPDX-License-Identifier: GPL-2.0 */
/* Included by journal.pml: checkpoints. */

/* --- checkpoints --- */

inline find_free_block()
{
	n = 0;
	for (i : 1 .. BLOCKS) {
		if
		:: n == 0 && !block_used[i] -> n = i
		:: else
		fi
	}
	i = 0
}

inline write_image(c)
{
	d_step {
		power == RUNNING && checkpoint == IMAGES && checkpoint_page[c] ->
		find_free_block();
		if
		:: broken(OVER_GOOD_COPY) && home[c] -> n = home[c]
		:: else
		fi;
		assert(n != 0);
		block[n] = word[c];
		block_durable[n] = false;
		block_used[n] = true;
		checkpoint_home[c] = n;
		checkpoint_page[c] = false;
		printf("checkpoint: an image of chunk %d's page, word %d, goes to block %d\n",
		       c, word[c], n);
		n = 0
	}
}

/* Superblock s leads to the new index. */
inline write_superblock(s)
{
	superblock[s] = best;
	superblock_index[s] = checkpoint_index;
	printf("checkpoint: superblock %d leads to the new index\n", s)
}

/*
 * What nothing leads to any more: told as damaged, it would be found out if
 * something did, and states that differ in it alone are one.
 */
inline forget_dead()
{
	for (i : 1 .. BLOCKS) {
		block[i] = (block_used[i] -> block[i] : UNCHANGED);
	}
	for (i : 0 .. RING - 1) {
		if
		:: log_step[i] < tail ->
			log_step[i] = 0;
			for (n : 0 .. CHUNKS - 1) {
				log_word[i * CHUNKS + n] = 0;
			}
		:: else
		fi
	}
	n = 1 - index_used;
	for (i : 0 .. CHUNKS - 1) {
		index_home[n * CHUNKS + i] = 0;
		index_word[n * CHUNKS + i] = 0;
	}
	index_tail[n] = 0;
	index_durable[n] = true;
	i = 0;
	n = 0
}

inline forget_checkpoint()
{
	for (i : 0 .. CHUNKS - 1) {
		checkpoint_page[i] = false;
		checkpoint_home[i] = 0;
	}
	i = 0;
	checkpoint_tail = 0;
	checkpoint_index = 0;
	checkpoint = IDLE
}

/* kernel/checkpoint_io.c and kernel/core/checkpoint.c */
active proctype checkpoints()
{
end:
	do
	/* cowstack_checkpoint_begin(): no step is under way, or the ring is full */
	:: d_step {
		power == RUNNING && checkpoint == IDLE && head > tail &&
		(step == IDLE || step == COLLECT_FREED) ->
		checkpoint_tail = head;
		for (i : 0 .. CHUNKS - 1) {
			checkpoint_page[i] = home_dirty[i];
			home_dirty[i] = false;
		}
		i = 0;
		if
		:: broken(TAIL_BEFORE_SUPERBLOCK) -> tail = checkpoint_tail
		:: else
		fi;
		checkpoint = IMAGES;
		printf("checkpoint: begins, replay will begin at step %d\n", head)
	   }
	/* cowstack_checkpoint_next_page(), write_images() */
	:: write_image(0)
	:: write_image(1)
	/* cowstack_checkpoint_make_index(), write_index() */
	:: d_step {
		power == RUNNING && checkpoint == IMAGES &&
		!checkpoint_page[0] && !checkpoint_page[CHUNKS - 1] ->
		checkpoint_tail = (broken(CHECKPOINT_LIVE_PAGE) -> head : checkpoint_tail);
		checkpoint_index = 1 - index_used;
		n = checkpoint_index;
		index_tail[n] = checkpoint_tail;
		index_durable[n] = false;
		for (i : 0 .. CHUNKS - 1) {
			best = (checkpoint_home[i] -> checkpoint_home[i] : home[i]);
			index_home[n * CHUNKS + i] = best;
			index_word[n * CHUNKS + i] = (best -> block[best] : NONE);
		}
		i = 0;
		n = 0;
		best = 0;
		checkpoint = INDEX;
		printf("checkpoint: its index is written\n")
	   }
	/* write_superblocks(): PREFLUSH, and a crash may tear A … */
	:: d_step {
		power == RUNNING && checkpoint == INDEX ->
		if
		:: broken(SUPERBLOCK_BEFORE_PAGES)
		:: else -> flush_store()
		fi;
		superblock[0] = 0;
		checkpoint = SUPERBLOCK_A
	   }
	:: d_step {
		power == RUNNING && checkpoint == SUPERBLOCK_A ->
		best = superblock[1] + 1;
		write_superblock(0);
		best = 0;
		checkpoint = SUPERBLOCK_A_DONE
	   }
	/* … and then B */
	:: d_step {
		power == RUNNING && checkpoint == SUPERBLOCK_A_DONE ->
		superblock[1] = 0;
		checkpoint = SUPERBLOCK_B
	   }
	:: d_step {
		power == RUNNING && checkpoint == SUPERBLOCK_B ->
		best = superblock[0];
		write_superblock(1);
		best = 0;
		checkpoint = END
	   }
	/* cowstack_checkpoint_end() */
	:: d_step {
		power == RUNNING && checkpoint == END ->
		tail = checkpoint_tail;
		index_used = checkpoint_index;
		for (i : 0 .. CHUNKS - 1) {
			if
			:: checkpoint_home[i] ->
				block_used[home[i]] = false;
				home[i] = checkpoint_home[i];
				block_used[home[i]] = true
			:: else
			fi
		}
		i = 0;
		forget_checkpoint();
		forget_dead();
		printf("checkpoint: ended\n")
	   }
	od
}
