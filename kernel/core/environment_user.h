/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace's half of environment.h: the few kernel names that core uses, with
 * the kernel's meaning.  Lookups run beside writers only in the kernel; here
 * the atomics are real all the same, so that threaded tests can be written.
 */
#ifndef COWSTACK_CORE_ENVIRONMENT_USER_H
#define COWSTACK_CORE_ENVIRONMENT_USER_H

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <linux/types.h>	/* __le64 and the like, __bitwise */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#ifdef __CHECKER__
#define __force __attribute__((force))
#else
#define __force
#endif
#define __rcu
#define __packed __attribute__((packed))
#ifndef __printf
#define __printf(text, first) \
	__attribute__((__format__(__printf__, \
				   text, first)))
#endif

static inline __le16 cpu_to_le16(u16 v) { return (__force __le16)htole16(v); }
static inline __le32 cpu_to_le32(u32 v) { return (__force __le32)htole32(v); }
static inline __le64 cpu_to_le64(u64 v) { return (__force __le64)htole64(v); }
static inline u16 le16_to_cpu(__le16 v) { return le16toh((__force u16)v); }
static inline u32 le32_to_cpu(__le32 v) { return le32toh((__force u32)v); }
static inline u64 le64_to_cpu(__le64 v) { return le64toh((__force u64)v); }

#define BITS_PER_LONG (8 * (int)sizeof(long))
#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
/* As there, the divisor has 32 bits. */
#define DIV_ROUND_UP_ULL(n, d) \
	(((u64)(n) + (d) - 1) / (u32)(d))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((__noinline__))
#define fallthrough __attribute__((fallthrough))
#define static_assert _Static_assert
#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline unsigned int hweight16(u16 n)
{
	return __builtin_popcount(n);
}

static inline int ilog2(u64 n)
{
	return 63 - __builtin_clzll(n);
}

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

static inline u64 div64_u64_rem(u64 dividend, u64 divisor, u64 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

/* Text. */
static inline __printf(3, 0)
int vscnprintf(char *text, size_t size, const char *format, va_list args)
{
	int length = vsnprintf(text, size, format, args);

	return min((size_t)length, size ? size - 1 : 0);
}

/* Only of a number without sign, to which the kernel's adds a '+' and a newline. */
static inline int kstrtou64(const char *text, unsigned int base, u64 *value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, base);
	if (*end == '\n')
		end++;
	if (*end)
		return -EINVAL;
	return -errno;
}

/* Memory: the flags say how hard the kernel may try; here one means something. */
typedef unsigned int gfp_t;
#define GFP_KERNEL 0u
#define GFP_NOIO 0u
#define GFP_NOWAIT 0u
#define __GFP_NOWARN 0u
#define __GFP_NOFAIL 1u

/* Tests let allocations fail, but those that must not. */
#ifdef COWSTACK_FAILING_MEMORY
bool environment_memory_fails(gfp_t flags);
#else
static inline bool environment_memory_fails(gfp_t flags)
{
	(void)flags;
	return false;
}
#endif

static inline void *kmalloc(size_t bytes, gfp_t flags)
{
	return environment_memory_fails(flags) ? NULL : malloc(bytes);
}

static inline void *kzalloc(size_t bytes, gfp_t flags)
{
	return environment_memory_fails(flags) ? NULL : calloc(1, bytes);
}

static inline void *kcalloc(size_t n, size_t bytes, gfp_t flags)
{
	return environment_memory_fails(flags) ? NULL : calloc(n, bytes);
}

static inline void *kvcalloc(size_t n, size_t bytes, gfp_t flags)
{
	return environment_memory_fails(flags) ? NULL : calloc(n, bytes);
}

static inline void kfree(const void *p)
{
	free((void *)p);
}

static inline void kvfree(const void *p)
{
	free((void *)p);
}

static inline void cond_resched(void)
{
}

/* Here a signal ends the process by itself; tests let one seem to have come. */
#ifdef COWSTACK_FAILING_MEMORY
bool environment_killed(void);
#else
static inline bool environment_killed(void)
{
	return false;
}
#endif

/* Atomics; all of these are full barriers, as the kernel's are. */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define rcu_dereference_raw(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define cmpxchg(p, old, new) __sync_val_compare_and_swap((p), (old), (new))

typedef struct { s64 counter; } atomic64_t;

static inline s64 atomic64_read(const atomic64_t *v)
{
	return READ_ONCE(v->counter);
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	WRITE_ONCE(v->counter, i);
}

static inline void atomic64_add(s64 i, atomic64_t *v)
{
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);
}

#define atomic64_inc(v) atomic64_add(1, v)
#define atomic64_dec(v) atomic64_add(-1, v)
#define atomic64_sub(i, v) atomic64_add(-(s64)(i), v)

#define smp_mb__after_atomic() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

static inline void set_bit(unsigned long bit, unsigned long *map)
{
	__atomic_fetch_or(&map[bit / BITS_PER_LONG],
			  BIT(bit % BITS_PER_LONG), __ATOMIC_RELAXED);
}

static inline void clear_bit(unsigned long bit, unsigned long *map)
{
	__atomic_fetch_and(&map[bit / BITS_PER_LONG],
			   ~BIT(bit % BITS_PER_LONG), __ATOMIC_RELAXED);
}

static inline bool test_bit(unsigned long bit, const unsigned long *map)
{
	return READ_ONCE(map[bit / BITS_PER_LONG]) >> (bit % BITS_PER_LONG) & 1;
}

static inline bool test_and_set_bit(unsigned long bit, unsigned long *map)
{
	unsigned long mask = BIT(bit % BITS_PER_LONG);

	return __atomic_fetch_or(&map[bit / BITS_PER_LONG], mask,
				 __ATOMIC_SEQ_CST) & mask;
}

static inline unsigned long environment_bit_lock(int bit, unsigned long *word)
{
	while (test_and_set_bit(bit, word))
		;
	return 0;
}

static inline void environment_bit_unlock(int bit, unsigned long *word,
					  unsigned long flags)
{
	(void)flags;
	__atomic_fetch_and(&word[bit / BITS_PER_LONG],
			   ~BIT(bit % BITS_PER_LONG), __ATOMIC_RELEASE);
}

static inline void __set_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] |= BIT(bit % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] &= ~BIT(bit % BITS_PER_LONG);
}

static inline unsigned long __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

/* First bit from @from on that is set (or clear, with @invert), or @bits. */
static inline unsigned long
environment_scan_bits(const unsigned long *map, unsigned long bits,
		      unsigned long from, unsigned long invert)
{
	while (from < bits) {
		unsigned long word = map[from / BITS_PER_LONG] ^ invert;

		word >>= from % BITS_PER_LONG;
		if (word) {
			from += __ffs(word);
			return min(from, bits);
		}
		from = (from / BITS_PER_LONG + 1) * BITS_PER_LONG;
	}
	return bits;
}

#define find_next_bit(map, bits, from) \
	environment_scan_bits(map, bits, from, 0)
#define find_next_zero_bit(map, bits, from) \
	environment_scan_bits(map, bits, from, ~0UL)

typedef struct { pthread_mutex_t mutex; } spinlock_t;

static inline void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
}

static inline void spin_lock(spinlock_t *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

static inline void spin_unlock(spinlock_t *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

/* Lists: doubly linked with a head, as the kernel's. */
struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list_head *item, struct list_head *head)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_add(struct list_head *item, struct list_head *head)
{
	list_add_tail(item, head->next);
}

static inline void list_del_init(struct list_head *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	INIT_LIST_HEAD(item);
}

#define list_del(item) list_del_init(item)

static inline void list_move_tail(struct list_head *item,
				  struct list_head *head)
{
	list_del_init(item);
	list_add_tail(item, head);
}

static inline void list_splice_tail_init(struct list_head *from,
					 struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	INIT_LIST_HEAD(from);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first_entry(head, type, member) \
	list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) \
	list_entry((head)->prev, type, member)
#define list_for_each_entry(p, head, member) \
	for (p = list_entry((head)->next, __typeof__(*p), member); \
	     &p->member != (head); \
	     p = list_entry(p->member.next, __typeof__(*p), member))
#define list_for_each_entry_safe(p, n, head, member) \
	for (p = list_entry((head)->next, __typeof__(*p), member), \
	     n = list_entry(p->member.next, __typeof__(*p), member); \
	     &p->member != (head); \
	     p = n, n = list_entry(n->member.next, __typeof__(*n), member))

/* Insertion sort: lists sorted here are short, or nearly sorted. */
static inline void list_sort(void *priv, struct list_head *head,
			     int (*compare)(void *, const struct list_head *,
					    const struct list_head *))
{
	struct list_head *item = head->next;

	while (item != head) {
		struct list_head *next = item->next;
		struct list_head *place = item->prev;

		while (place != head && compare(priv, place, item) > 0)
			place = place->prev;
		if (place != item->prev) {
			list_del_init(item);
			list_add(item, place);
		}
		item = next;
	}
}

/* A list that many may push to and one empties. */
struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

static inline void init_llist_head(struct llist_head *head)
{
	head->first = NULL;
}

static inline bool llist_empty(const struct llist_head *head)
{
	return !READ_ONCE(head->first);
}

static inline bool llist_add(struct llist_node *item, struct llist_head *head)
{
	struct llist_node *first;

	do {
		first = READ_ONCE(head->first);
		item->next = first;
	} while (cmpxchg(&head->first, first, item) != first);
	return !first;
}

static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return xchg(&head->first, NULL);
}

#define llist_entry(p, type, member) container_of(p, type, member)

static inline void sort(void *base, size_t n, size_t size,
			int (*compare)(const void *, const void *),
			void (*swap)(void *, void *, int))
{
	(void)swap;
	if (n)
		qsort(base, n, size, compare);
}

/* CRC-32 as zlib computes it; crc is 0 for the first piece. */
static inline u32 environment_crc32(u32 crc, const void *data, size_t bytes)
{
	return crc32(crc, data, bytes);
}

#endif /* COWSTACK_CORE_ENVIRONMENT_USER_H */
