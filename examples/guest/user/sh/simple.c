// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Simple commands: assignments, builtins, functions, programs. */
#include "sh.h"

static void trace(char **argv)
{
	dprintf(2, "+");
	for (; *argv; argv++)
		dprintf(2, " %s", *argv);
	dprintf(2, "\n");
}

/* An assignment as "NAME=value". */
static char *expand_assign(struct word *w, struct arena *a)
{
	size_t n = name_length(w->text) + 1;
	char *value = expand_string(w->text + n, a), *s;

	s = arena_alloc(a, n + strlen(value) + 1);
	memcpy(s, w->text, n);
	strcpy(s + n, value);
	return s;
}

void expand_assigns(struct word *w, struct fields *out)
{
	for (; w; w = w->next)
		add_field(out, expand_assign(w, out->arena));
}

static void assign(char *entry)
{
	char *equals = strchr(entry, '=');

	*equals = 0;
	set_variable(entry, equals + 1);
	*equals = '=';
}

/* Assignments that hold for one builtin or function only. */
static void set_aside(struct fields *assigns, struct fields *old)
{
	for (int i = 0; i < assigns->n; i++) {
		char *entry = assigns->v[i], *equals = strchr(entry, '=');
		const char *value;

		*equals = 0;
		value = get_variable(entry);
		add_field(old, value ? arena_strndup(old->arena, value, strlen(value)) : NULL);
		set_variable(entry, equals + 1);
	}
}

static void put_back(struct fields *assigns, struct fields *old)
{
	for (int i = 0; i < assigns->n; i++) {
		if (old->v[i])
			set_variable(assigns->v[i], old->v[i]);
		else
			unset_variable(assigns->v[i]);
	}
}

static int call_function(struct function *f, char **argv, int argc)
{
	char **outer_argv = sh.argv;
	int outer_argc = sh.argc, outer_loops = sh.loops, status;

	if (!f->body) {
		dprintf(2, "sh: %s: function without a body\n", f->name);
		return 2;
	}
	argv[0] = outer_argv[0];
	sh.argv = argv;
	sh.argc = argc - 1;
	sh.loops = 0;
	sh.depth++;
	status = run_node(f->body);
	sh.depth--;
	if (sh.flow == FLOW_RETURN)
		sh.flow = FLOW_NONE;
	sh.argv = outer_argv;
	sh.argc = outer_argc;
	sh.loops = outer_loops;
	return status;
}

void close_here_pipes(struct redir *r, struct fd_action *actions)
{
	for (; r; r = r->next, actions++)
		if (r->kind == REDIR_HERE)
			close(actions->from);
}

int spawn_program(char **argv, struct fields *assigns, struct redir *redirs,
		  struct fd_action *actions, int n_actions, struct spawn *how, struct arena *a)
{
	int pid;

	if (redirect_actions(redirs, actions + n_actions, MAX_ACTIONS - n_actions, a) < 0)
		return -1;
	how->actions = actions;
	how->envp = make_environment(a, assigns->v, 0);
	pid = spawnvp(argv, how);
	if (pid < 0)
		dprintf(2, "sh: %s: %s\n", argv[0], error_name(errno));
	close_here_pipes(redirs, actions + n_actions);
	return pid;
}

static int run_in_shell(struct function *f, builtin b, struct fields *words,
			struct fields *assigns, struct redir *redirs)
{
	struct fields old = { words->arena, NULL, 0, 0 };
	struct saved_fds saved;
	int status = 1;

	/* `exec` without a program makes its redirections last. */
	if (!f && !strcmp(words->v[0], "exec") && words->n == 1) {
		status = redirect(redirs, &saved) < 0;
		for (int i = 0; i < saved.n; i++)
			if (saved.fd[i].copy >= 0)
				close(saved.fd[i].copy);
		return status;
	}
	set_aside(assigns, &old);
	if (redirect(redirs, &saved) == 0) {
		status = f ? call_function(f, words->v, words->n) : b(words->n, words->v);
		if (flush() < 0 && !status)
			status = 1;
	}
	restore_fds(&saved);
	put_back(assigns, &old);
	return status;
}

static int run_program(struct node *n, struct fields *words, struct fields *assigns)
{
	struct fd_action actions[MAX_ACTIONS + 1];
	struct spawn how = { 0 };
	struct job *j = new_job(n->source, n->source_len);
	int pid;

	if (!j)
		return 1;
	job_spawn(j, 1, &how);
	pid = spawn_program(words->v, assigns, n->redirs, actions, 0, &how, words->arena);
	if (pid < 0) {
		free_job(j);
		return 1;
	}
	add_process(j, pid);
	return wait_job(j);
}

int run_simple(struct node *n)
{
	struct arena a = { 0 };
	struct fields words = { &a, NULL, 0, 0 }, assigns = { &a, NULL, 0, 0 };
	struct saved_fds saved;
	struct function *f;
	int status = 1;
	builtin b;

	sh.failed = 0;
	sh.substituted = 0;
	expand_words(n->words, &words);
	if (words.n)
		expand_assigns(n->assigns, &assigns);
	else				/* one by one: a=1 b=$a */
		for (struct word *w = n->assigns; w && !sh.failed; w = w->next)
			assign(expand_assign(w, &a));
	if (sh.failed) {
		if (!sh.interactive)
			exit(2);
		goto out;
	}
	if (sh.xtrace && words.n)
		trace(words.v);
	if (!words.n) {
		status = sh.substituted;
		if (redirect(n->redirs, &saved) < 0)
			status = 1;
		restore_fds(&saved);
		goto out;
	}
	f = find_function(words.v[0]);
	b = f ? NULL : find_builtin(words.v[0]);
	if (f || b)
		status = run_in_shell(f, b, &words, &assigns, n->redirs);
	else
		status = run_program(n, &words, &assigns);
out:
	arena_free(&a);
	return status;
}
