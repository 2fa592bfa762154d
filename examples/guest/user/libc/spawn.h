/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Processes and threads without fork(): a Wasm call stack cannot be copied,
 * so a child always starts in a function of its own, on a stack of its own,
 * in a new instance of the program over the same memory.
 */
#ifndef WDBG_SPAWN_H
#define WDBG_SPAWN_H

/* What __libc_clone_callback finds at its initial stack pointer. */
struct clone_frame {
	int (*fn)(void *arg);
	void *arg;
	long thread;		/* exit() ends the thread, not the process */
	long unused;
};

/*
 * vfork() turned inside out: fn(arg) runs in a child that shares our memory
 * but has its own descriptors, directory and signal handlers, while we wait
 * until it calls execve() or _exit(); returning from fn is _exit(its result).
 * Returns the child's id, or -1 and errno.
 */
int vfork_call(int (*fn)(void *arg), void *arg);

/* As vfork_call, but both run on: the child has `stack` to itself. */
int clone_call(unsigned long flags, void *stack, size_t size, int (*fn)(void *arg), void *arg);

enum fd_action_kind {
	FD_END,			/* terminates the list */
	FD_OPEN,		/* open `path` with `flags` as `fd` */
	FD_DUP,			/* make `fd` a copy of `from` */
	FD_CLOSE,		/* close `fd` */
};

struct fd_action {
	enum fd_action_kind kind;
	int fd;
	int from;
	int flags;
	const char *path;
};

#define SPAWN_GROUP	1	/* setpgid(0, group); group 0: its own */
#define SPAWN_FOREGROUND 2	/* give that group the terminal on descriptor tty */
#define SPAWN_SIGNALS	4	/* default action for the signals a shell ignores */
#define SPAWN_QUIET_INT	8	/* a background job without job control: ignore SIGINT */

struct spawn {
	const struct fd_action *actions;	/* NULL: none */
	unsigned int flags;
	int group;
	int tty;
	char *const *envp;			/* NULL: environ */
};

/*
 * Start argv[0], looked up in PATH unless it has a slash.  The child's id, or
 * -1 and errno when no child could be made.  What fails in the child is told
 * on its standard error, and it exits with 127 (not found), 126 (not to be
 * executed) or 1 (an fd action).
 */
int spawnvp(char *const argv[], const struct spawn *how);

/* Replace this program; returns (-1, errno) only on failure. */
int execvpe(char *const argv[], char *const envp[]);

struct thread {
	int tid;		/* 0 once it has ended: a futex that the kernel wakes */
	int (*fn)(void *arg);
	void *arg;
	void *stack;
	size_t stack_size;
};

/* Start fn(arg) as a thread with a mapped stack; -1 and errno on failure. */
int thread_start(struct thread *t, int (*fn)(void *arg), void *arg);
void thread_join(struct thread *t);	/* waits, then unmaps the stack */

#endif
