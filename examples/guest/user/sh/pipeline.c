// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Jobs of one or more processes: pipelines, subshells, the background. */
#include "sh.h"

/* A program can be spawned as it is; anything else needs a shell around it. */
static int is_program(struct node *n)
{
	const char *name;

	if (n->kind != NODE_SIMPLE || !n->words || !is_plain(n->words->text))
		return 0;
	name = n->words->text;
	return !find_function(name) && (!find_builtin(name) || is_applet(name));
}

static int start_process(struct node *n, struct job *j, int foreground, int in, int out)
{
	struct fd_action actions[MAX_ACTIONS + 1];
	struct arena a = { 0 };
	struct fields words = { &a, NULL, 0, 0 }, assigns = { &a, NULL, 0, 0 };
	struct spawn how = { 0 };
	int k = 0, pid = -1;

	job_spawn(j, foreground, &how);
	if (in >= 0)
		actions[k++] = (struct fd_action){ .kind = FD_DUP, .fd = 0, .from = in };
	else if (!foreground && !sh.job_control)
		actions[k++] = (struct fd_action){ .kind = FD_OPEN, .fd = 0, .flags = O_RDONLY,
						   .path = "/dev/null" };
	if (out >= 0)
		actions[k++] = (struct fd_action){ .kind = FD_DUP, .fd = 1, .from = out };
	actions[k].kind = FD_END;
	if (is_program(n)) {
		sh.failed = 0;
		expand_words(n->words, &words);
		expand_assigns(n->assigns, &assigns);
		if (!sh.failed)
			pid = spawn_program(words.v, &assigns, n->redirs, actions, k, &how, &a);
	} else if (n->kind == NODE_SUBSHELL) {
		pid = redirect_actions(n->redirs, actions + k, MAX_ACTIONS - k, &a);
		how.actions = actions;
		if (pid >= 0)
			pid = spawn_subshell(n->name, strlen(n->name), &how);
		close_here_pipes(n->redirs, actions + k);
	} else {
		how.actions = actions;
		pid = spawn_subshell(n->source, n->source_len, &how);
	}
	if (pid > 0)
		add_process(j, pid);
	arena_free(&a);
	return pid;
}

/* All processes of a pipeline, or the one of another command; 0, or -1. */
static int start_job(struct node *n, struct job *j, int foreground)
{
	struct node *c = n->kind == NODE_PIPE ? n->first : n;
	int in = -1, fd[2], pid = 0;

	for (; c && pid >= 0; c = n->kind == NODE_PIPE ? c->next : NULL) {
		int last = n->kind != NODE_PIPE || !c->next;

		if (j->n == MAX_PIPE) {
			dprintf(2, "sh: pipe too long\n");
			pid = -1;
			break;
		}
		fd[0] = fd[1] = -1;
		if (!last && pipe2(fd, O_CLOEXEC) < 0) {
			dprintf(2, "sh: pipe: %s\n", error_name(errno));
			pid = -1;
			break;
		}
		pid = start_process(c, j, foreground, in, fd[1]);
		if (in >= 0)
			close(in);
		if (fd[1] >= 0)
			close(fd[1]);
		in = fd[0];
	}
	if (in >= 0)
		close(in);
	return pid < 0 ? -1 : 0;
}

int run_pipe(struct node *n)
{
	struct job *j = new_job(n->source, n->source_len);

	if (!j)
		return 1;
	if (start_job(n, j, 1) < 0) {
		wait_job(j);
		return 1;
	}
	return wait_job(j);
}

int run_background(struct node *n)
{
	struct job *j = new_job(n->source, n->source_len);

	if (!j)
		return 1;
	if (start_job(n, j, 0) < 0 && !j->n) {
		free_job(j);
		return 1;
	}
	sh.background_pid = j->pid[j->n - 1];
	if (sh.interactive)
		dprintf(2, "[%d] %d\n", j->number, sh.background_pid);
	return 0;
}

int run_subshell(struct node *n)
{
	struct job *j = new_job(n->source, n->source_len);

	if (!j)
		return 1;
	if (start_job(n, j, 1) < 0) {
		free_job(j);
		return 1;
	}
	return wait_job(j);
}
