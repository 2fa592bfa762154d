/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Workload programs: each takes a count, does its work that many times, checks
 * what it can, prints one line and exits with 1 if a check failed.
 */
#ifndef WDBG_WORK_H
#define WDBG_WORK_H

#include "box.h"

/* The first argument, or `fallback`; a message and status 2 if it is not positive. */
long work_count(int argc, char **argv, long fallback);
long work_argument(int argc, char **argv, int index, long fallback);

/* Count a failed check and say which, at most ten times. */
#define check(condition)						\
	((condition) ? 1 : (work_failed(__FILE__, __LINE__, #condition), 0))
void work_failed(const char *file, int line, const char *condition);

/* "NAME: TEXT, N checks failed" on one line; returns the exit status. */
int work_summary(const char *fmt, ...) __printf(1, 2);

/* A process that shares our memory and runs beside us. */
struct peer {
	int pid;
	void *stack;
};
int peer_start(struct peer *p, int (*fn)(void *), void *arg);	/* -1 and errno */
int peer_wait(struct peer *p);					/* its wait status */

/* A repeatable sequence of numbers: *state is the seed. */
unsigned int next_random(unsigned int *state);

#endif
