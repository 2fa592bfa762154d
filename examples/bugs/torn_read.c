// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 64-bit number in two halves.
 *
 * The clock's seconds are kept as two 32-bit words, as hardware has them.  Who
 * reads them while they are written gets the half of one time and the half of
 * another.
 */
#include <linux/seqlock.h>
#include <linux/types.h>

#include "bugs.h"

#define ROUNDS	40

static struct {
	seqlock_t	lock;
	u32		low;
	u32		high;
} now = { .lock = __SEQLOCK_UNLOCKED(now.lock), .low = 0xfffffff0 };

static noinline void clock_advance(void)
{
	u64 time = ((u64)now.high << 32 | now.low) + 1;

	now.low = time;
	barrier();
	now.high = time >> 32;
}

static noinline u64 clock_read(void)
{
	u32 high = now.high;

	barrier();
	return (u64)high << 32 | now.low;
}

static noinline void clock_advance_ok(void)
{
	write_seqlock(&now.lock);
	clock_advance();
	write_sequnlock(&now.lock);
}

static noinline u64 clock_read_ok(void)
{
	unsigned int seq;
	u64 time;

	do {
		seq = read_seqbegin(&now.lock);
		time = clock_read();
	} while (read_seqretry(&now.lock, seq));
	return time;
}

static int ticker(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		clock_advance();
	return 0;
}

static int ticker_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		clock_advance_ok();
	return 0;
}

static int reader(void *unused)
{
	u64 last = 0;

	for (int i = 0; i < ROUNDS; i++)
		last = max(last, clock_read());
	return last;
}

static int reader_ok(void *unused)
{
	u64 last = 0;

	for (int i = 0; i < ROUNDS; i++)
		last = max(last, clock_read_ok());
	return last;
}

void bug_torn_read(void)
{
	bug_run_threads(ticker, reader);
}

void bug_torn_read_ok(void)
{
	bug_run_threads(ticker_ok, reader_ok);
}
