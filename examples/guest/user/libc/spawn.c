// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Children, threads and exec; see spawn.h. */
#include "libc.h"

/*
 * Below the part of our own stack that is in use, with room for the frames of
 * the functions between here and the system call, and for the red zone of 128
 * bytes that leaf functions use without moving the stack pointer.
 */
#define VFORK_GAP	1024

static int clone_on(unsigned long flags, char *top, int *ptid, long tls, int *ctid,
		    int (*fn)(void *), void *arg)
{
	struct clone_frame *frame;

	frame = (struct clone_frame *)((unsigned long)top & -16UL) - 1;
	frame->fn = fn;
	frame->arg = arg;
	frame->thread = !!(flags & CLONE_THREAD);
	return __sysret((int)my_syscall5(__NR_clone, flags, frame, ptid, tls, ctid));
}

int clone_call(unsigned long flags, void *stack, size_t size, int (*fn)(void *), void *arg)
{
	return clone_on(flags, (char *)stack + size, NULL, 0, NULL, fn, arg);
}

int vfork_call(int (*fn)(void *), void *arg)
{
	flush();
	/* The parent does not run until the child is done with this memory. */
	return clone_on(CLONE_VM | CLONE_VFORK | SIGCHLD, (char *)__wasm_sp() - VFORK_GAP,
			NULL, 0, NULL, fn, arg);
}

int execvpe(char *const argv[], char *const envp[])
{
	const char *path = getenv("PATH"), *end;
	char name[256];
	int error = ENOENT;

	if (strchr(argv[0], '/'))
		return execve(argv[0], argv, envp);
	for (path = path ? path : "/bin";; path = end + 1) {
		end = path;
		while (*end && *end != ':')
			end++;
		if (end > path && snprintf(name, sizeof(name), "%.*s/%s", (int)(end - path),
					   path, argv[0]) < (int)sizeof(name)) {
			execve(name, argv, envp);
			if (errno != ENOENT && errno != ENOTDIR)
				error = errno;
		}
		if (!*end)
			break;
	}
	SET_ERRNO(error);
	return -1;
}

static int do_action(const struct fd_action *a)
{
	int fd;

	switch (a->kind) {
	case FD_OPEN:
		fd = open(a->path, a->flags, 0666);
		if (fd < 0 || fd == a->fd)
			return fd;
		if (dup2(fd, a->fd) < 0)
			return -1;
		return close(fd);
	case FD_DUP:
		return a->from == a->fd ? 0 : dup2(a->from, a->fd);
	case FD_CLOSE:
		return close(a->fd);
	default:
		return 0;
	}
}

struct spawn_child {
	char *const *argv;
	const struct spawn *how;
};

/* Runs in the child, in our memory: nothing here may change our variables. */
static int spawn_child(void *arg)
{
	const struct spawn_child *c = arg;
	const struct spawn *how = c->how;
	const struct fd_action *a;
	int error;

	if (how->flags & SPAWN_GROUP) {
		setpgid(0, how->group);
		if (how->flags & SPAWN_FOREGROUND)
			tcsetpgrp(how->tty, how->group ? how->group : getpid());
	}
	for (a = how->actions; a && a->kind; a++) {
		if (do_action(a) < 0) {
			warn(a->path ? a->path : "redirection");
			return 1;
		}
	}
	if (how->flags & SPAWN_SIGNALS) {
		static const char signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

		for (unsigned int i = 0; i < sizeof(signals); i++)
			handle_signal(signals[i], HANDLER_DFL, 0);
	}
	if (how->flags & SPAWN_QUIET_INT) {
		handle_signal(SIGINT, HANDLER_IGN, 0);
		handle_signal(SIGQUIT, HANDLER_IGN, 0);
	}
	execvpe(c->argv, how->envp ? how->envp : environ);
	error = errno;
	if (error == ENOENT && !strchr(c->argv[0], '/'))
		warnx("%s: not found", c->argv[0]);
	else
		warn(c->argv[0]);
	return error == ENOENT ? 127 : 126;
}

int spawnvp(char *const argv[], const struct spawn *how)
{
	static const struct spawn plain;
	struct spawn_child c = { argv, how ? how : &plain };

	return vfork_call(spawn_child, &c);
}

#define THREAD_STACK	(16 * 1024)

int thread_start(struct thread *t, int (*fn)(void *), void *arg)
{
	int ret;

	t->fn = fn;
	t->arg = arg;
	t->stack_size = THREAD_STACK;
	t->stack = map_pages(t->stack_size);
	if (!t->stack)
		return -1;
	t->tid = -1;
	/* The thread pointer is the address of its struct thread. */
	ret = clone_on(CLONE_THREAD_FLAGS, (char *)t->stack + t->stack_size, &t->tid, (long)t,
		       &t->tid, fn, arg);
	if (ret < 0)
		munmap(t->stack, t->stack_size);
	return ret;
}

void thread_join(struct thread *t)
{
	int tid;

	while ((tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE)))
		/* Shared futex: the kernel's wake-up at thread exit is not private. */
		my_syscall6(__NR_futex_time64, &t->tid, FUTEX_WAIT, tid, 0, 0, 0);
	munmap(t->stack, t->stack_size);
}
