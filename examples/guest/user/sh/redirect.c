// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Redirections, in the shell itself and for children. */
#include "sh.h"

#define FIRST_PRIVATE_FD 10	/* descriptors from here on are the shell's own */

static int open_flags(enum redir_kind kind)
{
	switch (kind) {
	case REDIR_OUT: return O_WRONLY | O_CREAT | O_TRUNC;
	case REDIR_APPEND: return O_WRONLY | O_CREAT | O_APPEND;
	case REDIR_READ_WRITE: return O_RDWR | O_CREAT;
	default: return O_RDONLY;
	}
}

/*
 * A pipe that holds a here-document.  The text must fit: nobody reads while
 * we write, so a longer one is an error rather than a hang.
 */
static int here_pipe(struct redir *r, struct arena *a)
{
	char *text = r->literal ? r->target : expand_here(r->target, a);
	size_t n = strlen(text);
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (write(fd[1], text, n) != (ssize_t)n) {
		dprintf(2, "sh: here-document too long\n");
		close(fd[0]);
		fd[0] = -1;
	} else {
		fcntl(fd[0], F_SETFL, 0);
	}
	close(fd[1]);
	return fd[0];
}

int redirect_actions(struct redir *r, struct fd_action *out, int max, struct arena *a)
{
	int n = 0;

	for (; r; r = r->next) {
		struct fd_action *act = &out[n++];
		char *target;

		if (n == max) {
			dprintf(2, "sh: too many redirections\n");
			return -1;
		}
		*act = (struct fd_action){ .fd = r->fd };
		if (r->kind == REDIR_HERE) {
			act->kind = FD_DUP;
			act->from = here_pipe(r, a);
			if (act->from < 0)
				return -1;
			continue;
		}
		target = expand_string(r->target, a);
		if (sh.failed)
			return -1;
		if (r->kind != REDIR_DUP) {
			act->kind = FD_OPEN;
			act->flags = open_flags(r->kind);
			act->path = target;
		} else if (!strcmp(target, "-")) {
			act->kind = FD_CLOSE;
		} else if (isdigit(target[0]) && !target[1]) {
			act->kind = FD_DUP;
			act->from = target[0] - '0';
		} else {
			dprintf(2, "sh: %s: not a descriptor\n", target);
			return -1;
		}
	}
	out[n].kind = FD_END;
	return n;
}

int redirect(struct redir *r, struct saved_fds *saved)
{
	struct fd_action actions[MAX_ACTIONS + 1];
	struct arena a = { 0 };
	int n, fd, status = 0;

	saved->n = 0;
	if (!r)
		return 0;
	flush();
	n = redirect_actions(r, actions, MAX_ACTIONS, &a);
	status = n < 0 ? -1 : 0;
	for (int i = 0; i < n && !status; i++, r = r->next) {
		struct fd_action *act = &actions[i];

		if (saved->n < (int)ARRAY_SIZE(saved->fd)) {
			saved->fd[saved->n].fd = act->fd;
			saved->fd[saved->n++].copy = fcntl(act->fd, F_DUPFD_CLOEXEC,
							   FIRST_PRIVATE_FD);
		}
		if (act->kind == FD_CLOSE) {
			close(act->fd);
			continue;
		}
		fd = act->kind == FD_OPEN ? open(act->path, act->flags, 0666) : act->from;
		if (fd < 0 || (fd != act->fd && dup2(fd, act->fd) < 0)) {
			dprintf(2, "sh: %s: %s\n", act->path ? act->path : "redirection",
				error_name(errno));
			status = -1;
		}
		if (fd >= 0 && fd != act->fd && (act->kind == FD_OPEN || r->kind == REDIR_HERE))
			close(fd);
	}
	arena_free(&a);
	return status;
}

void restore_fds(struct saved_fds *saved)
{
	if (!saved->n)
		return;
	flush();
	while (saved->n) {
		int fd = saved->fd[--saved->n].fd, copy = saved->fd[saved->n].copy;

		if (copy < 0) {
			close(fd);
		} else {
			dup2(copy, fd);
			close(copy);
		}
	}
}
