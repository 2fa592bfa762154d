/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the programs of the multi-call binary share. */
#ifndef WDBG_BOX_H
#define WDBG_BOX_H

#include "libc.h"
#include "applets.h"

#define DECLARE(id, name)	int id##_main(int argc, char **argv);
APPLETS(DECLARE)
#undef DECLARE

/* 1 if `name` is a program of ours. */
int is_applet(const char *name);

/* Run the program `name` in this process; -1 if there is none of that name. */
int run_applet(const char *name, int argc, char **argv);

/* The last component of a path; the path itself if it has no slash. */
const char *base_name(const char *path);

/*
 * Options as single letters: returns the next letter of `allowed`, '?' after
 * an error message, or -1 at the first operand, whose index is then *at.  A
 * letter followed by ':' in `allowed` takes a value, left in `option_value`.
 * *at starts at 1.
 */
int next_option(int argc, char **argv, const char *allowed, int *at);
extern char *option_value;

/* A whole number from `s`, or a message and exit status 2. */
long long number(const char *s);

/* Seconds with a fraction ("0.25") as nanoseconds; as number() on errors. */
long long seconds_ns(const char *s);

/*
 * Call fn(fd, name) for standard input or for each of the files named; an
 * unreadable one is reported.  Returns the exit status.
 */
int each_file(int argc, char **argv, int first, int (*fn)(int fd, const char *name));

/* Call fn(path of the entry, its name, arg) for all in a directory; the sum of its results. */
int each_entry(const char *dir, int (*fn)(const char *path, const char *name, void *arg),
	       void *arg);

/* rm -rf */
int remove_tree(const char *path);

/* The whole file, NUL-terminated, in `t`; -1 and errno on failure. */
int read_file(const char *path, struct text *t);

#endif
