// SPDX-License-Identifier: GPL-2.0
/*
 * Work, commits, make_empty, streams and loads in which the n-th I/O fails, or the
 * n-th allocation, n = 1, 2, … until all passes; or a device is pulled; or the store
 * lies on a thin one that has no more room.  Nothing that was acknowledged is lost,
 * what guests see is right all the time, and what stopped is finished afterwards.
 *
 *   COWSTACK_WORKLOADS=N  how many of each
 *   COWSTACK_PULLS=N      how many times a device is pulled
 *   COWSTACK_THIN=N       how many times a thin device has no room
 *   COWSTACK_SEED=N       seed of the first workload
 */
#include "failing_memory.h"
#include "workload.h"

#include "harness.h"

enum { DEFAULT_WORKLOADS = 25, DEFAULT_PULLS = 200, DEFAULT_THIN = 500 };

enum kind { KIND_WORK, KIND_COMMIT, KIND_EMPTY, KIND_STREAM, KIND_LOAD, KINDS };

static const char *const kind_name[KINDS] = {
	"work", "commit", "make_empty", "stream", "load",
};

FIXTURE(errors) {
	struct store_driver d;
	struct random random;		/* of the failures; others are of .d */
	u64 seed;
	enum kind kind;
	struct driver_volume *v;	/* whose job it is */
	u64 ios;			/* of the whole, when none fails */
	u64 runs;
	u64 read_only;
	u64 finished;			/* jobs, afterwards */
	u64 waiting;			/* for room that there is not */
};

typedef FIXTURE_DATA(errors) errors_data;

FIXTURE_SETUP(errors)
{
	driver_init(&self->d);
	self->seed = number_from_environment("COWSTACK_SEED", 1);
	self->random.state = self->seed;
	self->d.verbose = number_from_environment("COWSTACK_VERBOSE", 0);
}

FIXTURE_TEARDOWN(errors)
{
	memory_fail_at(0);
	driver_exit(&self->d);
}

/* --- workloads --- */

static void finish_job(struct store_driver *d, struct driver_volume *v)
{
	job_run(d, v);
	job_restart(d, v);
	job_run(d, v);
}

/* A store after some work; where a job is to be looked at, with none. */
static void prepare(errors_data *self)
{
	struct store_driver *d = &self->d;
	u64 length, i;

	driver_format(d, self->seed);
	d->power.keeps_caches = false;
	d->power.phase = PHASE_RECOVERY;
	driver_open(d);
	d->commit_percent = 10;
	length = 60 + random_below(&d->random, 200);
	for (i = 0; i < length; i++)
		workload_do_something(d);
	self->v = &d->volumes[0];
	if (self->kind == KIND_LOAD) {
		power_cut(&d->power);
		driver_close(d);
		power_restore(&d->power);
	} else if (self->kind != KIND_WORK && self->v->volume) {
		volume_drain(d, self->v);
		finish_job(d, self->v);
		volume_snapshot(d, self->v);
	}
}

/* The job, a piece at a time, beside a guest's work. */
static void run_job(struct store_driver *d, struct driver_volume *v)
{
	u32 i;

	for (i = 0; i < 400 && !driver_is_stuck(d); i++) {
		if (v->commit.state == COMMIT_IDLE ||
		    v->commit.state == COMMIT_STANDING)
			return;
		if (random_percent(&d->random, 70))
			job_tick(d, v);
		else if (random_percent(&d->random, 50))
			driver_run_steps(d);
		else
			workload_write(d, v);
	}
}

/* What is looked at; the failure lies somewhere in it, or behind it. */
static void run_kind(errors_data *self)
{
	struct store_driver *d = &self->d;
	struct driver_volume *v = self->v;
	u32 i;

	d->power.phase = PHASE_WORK;
	if (self->kind == KIND_LOAD) {
		driver_open(d);
	} else if (self->kind == KIND_WORK) {
		for (i = 0; i < 100 && !driver_is_stuck(d); i++)
			workload_do_something(d);
	} else if (v->volume) {
		if (self->kind == KIND_STREAM)
			stream_begin(d, v);
		else
			commit_begin(d, v);
		run_job(d, v);
		if (self->kind != KIND_EMPTY)
			return;
		for (i = 0; i < 8 && !driver_is_stuck(d); i++)
			layer_empty(d, v);
	}
}

static bool did_it(enum kind kind, const struct driver_counts *before,
		   const struct driver_counts *after)
{
	if (kind == KIND_COMMIT)
		return after->commits > before->commits;
	if (kind == KIND_STREAM)
		return after->streams > before->streams;
	if (kind == KIND_EMPTY)
		return after->emptied > before->emptied;
	return true;
}

/* The next seed from .seed on with which a workload is one of the kind. */
static void find_workload(errors_data *self, enum kind kind)
{
	struct store_driver *d = &self->d;

	for (self->kind = kind;; self->seed++) {
		struct driver_counts before;
		bool did;
		u64 ios;

		prepare(self);
		before = d->counts;
		ios = d->power.ios;
		run_kind(self);
		did = did_it(kind, &before, &d->counts);
		self->ios = d->power.ios - ios;
		driver_close(d);
		if (did || d->failed)
			return;
	}
}

/* --- afterwards --- */

/*
 * Only what changes no map goes on; and guests see what they did.  Where the step of a
 * snapshot has failed and landed all the same, the snapshot is there after the next
 * load, with what has been rewritten in place since: the model knows no such thing.
 */
static void check_read_only(struct store_driver *d)
{
	int i;

	for (i = 0; i < DRIVER_VOLUMES && !driver_is_over(d); i++) {
		struct driver_volume *v = &d->volumes[i];

		if (!v->volume || v->uncertain || v->exchanged)
			continue;
		volume_drain(d, v);
		volume_check_content(d, v);
		if (v->freezing)
			continue;
		workload_write(d, v);
		volume_drain(d, v);
		volume_check_content(d, v);
	}
	driver_flush(d);
}

static void check_all(struct store_driver *d)
{
	int i;

	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++)
		if (d->volumes[i].volume && !d->volumes[i].uncertain &&
		    !d->volumes[i].exchanged)
			volume_check(d, &d->volumes[i]);
}

/* Nothing fails any more: whatever stands still ends. */
static void finish_jobs(errors_data *self)
{
	struct store_driver *d = &self->d;
	int i;

	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++) {
		struct driver_volume *v = &d->volumes[i];
		u64 stops = d->counts.stops;

		if (!v->volume || v->commit.state == COMMIT_IDLE)
			continue;
		finish_job(d, v);
		if (v->commit.state == COMMIT_IDLE)
			self->finished++;
		else if (d->counts.stops > stops)
			self->waiting++;
		else
			driver_fail(d, "volume %u: its job does not end",
				    v->number);
	}
}

static void open_again(struct store_driver *d)
{
	driver_close(d);
	power_restore(&d->power);
	d->power.phase = PHASE_RECOVERY;
	if (!driver_open(d) && !d->failed)
		driver_fail(d, "the store does not open again");
	d->power.phase = PHASE_WORK;
}

/* With a power cut in any case: in the end only what is durable counts. */
static bool check_aftermath(errors_data *self)
{
	struct store_driver *d = &self->d;

	if (!d->open && !d->failed)
		open_again(d);
	if (d->ro) {
		self->read_only++;
		check_read_only(d);
	} else {
		check_all(d);
		if (random_percent(&d->random, 50))
			finish_jobs(self);
		check_all(d);
	}
	if (!d->failed)
		power_cut(&d->power);
	open_again(d);
	finish_jobs(self);
	if (!driver_is_over(d))
		workload_quiesce(d);
	driver_close(d);
	return !d->failed;
}

/* A short run need not come to all of it. */
static bool is_long(const char *name, u64 otherwise)
{
	return number_from_environment(name, otherwise) >= otherwise;
}

static void print_run(errors_data *self, const char *what, u64 n)
{
	if (self->d.failed)
		printf("# %s, seed %llu, %s %llu: %s\n", kind_name[self->kind],
		       (unsigned long long)self->seed, what,
		       (unsigned long long)n, self->d.failure);
}

static void print_totals(errors_data *self, const char *what, u64 workloads)
{
	printf("# %llu workloads, %llu runs, store read-only in %llu of them\n",
	       (unsigned long long)workloads, (unsigned long long)self->runs,
	       (unsigned long long)self->read_only);
	printf("# %llu jobs finished afterwards, %llu wait for room\n",
	       (unsigned long long)self->finished,
	       (unsigned long long)self->waiting);
	printf("# totals: %s-workloads=%llu %s=%llu\n", what,
	       (unsigned long long)workloads, what,
	       (unsigned long long)self->runs);
	fflush(stdout);
}

/* --- the n-th fails --- */

/* Returns whether it came to that; all is well in any case unless d->failed. */
static bool fail_io(errors_data *self, u64 n)
{
	u64 errors = self->d.power.errors;

	prepare(self);
	self->d.power.failing_in = n;
	run_kind(self);
	self->d.power.failing_in = 0;
	return self->d.power.errors > errors;
}

static bool fail_allocation(errors_data *self, u64 n)
{
	prepare(self);
	memory_fail_at(n);
	run_kind(self);
	return memory_has_failed();
}

static void fail_each(errors_data *self, const char *what,
		      bool (*fail)(errors_data *self, u64 n))
{
	u64 count = number_from_environment("COWSTACK_WORKLOADS",
					    DEFAULT_WORKLOADS);
	u64 i, n;

	for (i = 0; i < count && !self->d.failed; i++, self->seed++) {
		bool failed = true;

		find_workload(self, i % KINDS);
		for (n = 1; failed && !self->d.failed; n++) {
			failed = fail(self, n);
			check_aftermath(self);
			self->runs += failed;
			print_run(self, what, n);
		}
	}
	print_totals(self, what, i);
}

TEST_F(errors, each_io)
{
	fail_each(self, "io-errors", fail_io);
	EXPECT_FALSE(self->d.failed);
	if (is_long("COWSTACK_WORKLOADS", DEFAULT_WORKLOADS)) {
		EXPECT_LT(0, self->read_only);
		EXPECT_LT(0, self->finished);
	}
}

TEST_F(errors, each_allocation)
{
	fail_each(self, "allocations-failed", fail_allocation);
	EXPECT_FALSE(self->d.failed);
	EXPECT_EQ(0, self->read_only);
	if (is_long("COWSTACK_WORKLOADS", DEFAULT_WORKLOADS))
		EXPECT_LT(0, self->runs);
}

/* --- devices --- */

/* Whatever fails with it gone; then it is back, as it was or without its cache. */
static void pull_device(errors_data *self, bool of_store)
{
	struct store_driver *d = &self->d;
	struct simulated_device *device;

	prepare(self);
	device = of_store ? &d->store : &self->v->base->device;
	d->power.pulled = device;
	d->power.pulling_in = 1 + random_below(&self->random, self->ios);
	run_kind(self);
	d->power.pulling_in = 0;
	device->gone = true;
	driver_flush(d);
	self->read_only += d->ro;
	/* It is another disk to the system: what was over it is brought up anew. */
	device_return(device, random_percent(&self->random, 50));
	open_again(d);
	finish_jobs(self);
	if (!driver_is_over(d))
		workload_quiesce(d);
	driver_close(d);
	self->runs++;
}

TEST_F(errors, pulled_devices)
{
	static const enum kind kinds[] = { KIND_COMMIT, KIND_STREAM, KIND_EMPTY };
	u64 count = number_from_environment("COWSTACK_PULLS", DEFAULT_PULLS);
	u64 workloads = 0, i;

	for (i = 0; i < count && !self->d.failed; i++) {
		if (i % 20 == 0) {
			self->seed++;
			find_workload(self, kinds[workloads++ % 3]);
		}
		pull_device(self, i % 2);
		print_run(self, "pull", i);
	}
	print_totals(self, "pulls", workloads);
	EXPECT_FALSE(self->d.failed);
	if (is_long("COWSTACK_PULLS", DEFAULT_PULLS)) {
		EXPECT_LT(0, self->read_only);
		EXPECT_LT(0, self->finished);
	}
}

/* The store lies on a thin device without room for much more. */
static bool run_out(errors_data *self)
{
	struct store_driver *d = &self->d;
	u64 errors = d->power.errors;

	prepare(self);
	/* Format has written to the whole ring. */
	if (random_percent(&self->random, 70))
		device_provision(&d->store, 0, COWSTACK_MIN_METADATA_BLOCKS);
	d->store.thin_blocks = random_below(&self->random, 30);
	run_kind(self);
	d->store.thin_blocks = DEVICE_NOT_THIN;
	return d->power.errors > errors;
}

TEST_F(errors, thin_devices)
{
	static const enum kind kinds[] = { KIND_WORK, KIND_COMMIT, KIND_STREAM };
	u64 count = number_from_environment("COWSTACK_THIN", DEFAULT_THIN);
	u64 workloads = 0, i;

	for (i = 0; self->runs < count && !self->d.failed; i++) {
		if (i % 20 == 0) {
			self->seed++;
			find_workload(self, kinds[workloads++ % 3]);
		}
		self->runs += run_out(self);
		check_aftermath(self);
		print_run(self, "thin device", i);
	}
	print_totals(self, "thin-full", workloads);
	EXPECT_FALSE(self->d.failed);
	if (is_long("COWSTACK_THIN", DEFAULT_THIN))
		EXPECT_LT(0, self->read_only);
}

TEST_HARNESS_MAIN
