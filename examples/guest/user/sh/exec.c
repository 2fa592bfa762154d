// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Running the syntax tree. */
#include "sh.h"

void check_errexit(int status)
{
	if (status && sh.errexit && !sh.checked && !sh.interactive)
		exit(status);
}

/* ---- simple commands */

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

static void expand_assigns(struct word *w, struct fields *out)
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

/* Pipes of here-documents are opened in the shell for the child. */
static void close_here_pipes(struct redir *r, struct fd_action *actions)
{
	for (; r; r = r->next, actions++)
		if (r->kind == REDIR_HERE)
			close(actions->from);
}

static int spawn_program(char **argv, struct fields *assigns, struct redir *redirs,
			 struct fd_action *actions, int n_actions, struct spawn *how,
			 struct arena *a)
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

static int run_simple(struct node *n)
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

/* ---- pipelines and the background */

static int is_plain_word(const char *s)
{
	for (; *s; s++)
		if (strchr("$`\\'\"*?[~", *s))
			return 0;
	return 1;
}

/* A program can be spawned as it is; anything else needs a shell around it. */
static int is_program(struct node *n)
{
	const char *name;

	if (n->kind != NODE_SIMPLE || !n->words || !is_plain_word(n->words->text))
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

static int run_pipe(struct node *n)
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

static int run_background(struct node *n)
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

static int run_subshell(struct node *n)
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

/* ---- compound commands */

static int run_condition(struct node *n)
{
	int status;

	sh.checked++;
	status = run_node(n);
	sh.checked--;
	return status;
}

/* After a loop's body: 1 when the loop must end. */
static int leave_loop(void)
{
	int leave = sh.flow == FLOW_RETURN || sh.interrupted;

	if (sh.flow == FLOW_BREAK || sh.flow == FLOW_CONTINUE) {
		leave = sh.flow == FLOW_BREAK || sh.flow_count > 1;
		if (--sh.flow_count == 0)
			sh.flow = FLOW_NONE;
	}
	return leave;
}

static int run_loop(struct node *n)
{
	int status = 0;

	sh.loops++;
	while (!sh.interrupted) {
		int condition = run_condition(n->first);

		if (sh.flow != FLOW_NONE || (condition != 0) == (n->kind == NODE_WHILE))
			break;
		status = run_node(n->second);
		if (leave_loop())
			break;
	}
	sh.loops--;
	return status;
}

static int run_for(struct node *n)
{
	struct arena a = { 0 };
	struct fields words = { &a, NULL, 0, 0 };
	int status = 0;

	sh.failed = 0;
	expand_words(n->words, &words);
	sh.loops++;
	for (int i = 0; i < words.n && !sh.failed; i++) {
		set_variable(n->name, words.v[i]);
		status = run_node(n->second);
		if (leave_loop())
			break;
	}
	sh.loops--;
	arena_free(&a);
	return status;
}

static int run_case(struct node *n)
{
	struct arena a = { 0 };
	char *value = expand_string(n->name, &a);
	int status = 0;

	for (struct case_item *c = n->cases; c; c = c->next) {
		for (struct word *w = c->patterns; w; w = w->next) {
			if (!match(expand_pattern(w->text, &a), value))
				continue;
			if (c->body)
				status = run_node(c->body);
			goto out;
		}
	}
out:
	arena_free(&a);
	return status;
}

static int run_compound(struct node *n)
{
	struct saved_fds saved;
	int status = 1;

	if (redirect(n->redirs, &saved) == 0) {
		switch (n->kind) {
		case NODE_IF:
			if (run_condition(n->first) == 0)
				status = run_node(n->second);
			else
				status = n->third ? run_node(n->third) : 0;
			break;
		case NODE_WHILE:
		case NODE_UNTIL:
			status = run_loop(n);
			break;
		case NODE_FOR:
			status = run_for(n);
			break;
		case NODE_CASE:
			status = run_case(n);
			break;
		default:
			status = run_node(n->first);
		}
	}
	restore_fds(&saved);
	return status;
}

int run_node(struct node *n)
{
	int status = sh.status;

	if (sh.interrupted)
		return 130;
	if (stack_is_low()) {
		dprintf(2, "sh: nested too deeply\n");
		if (!sh.interactive)
			exit(2);
		sh.interrupted = 1;
		return 2;
	}
	if (sh.flow != FLOW_NONE)
		return status;
	switch (n->kind) {
	case NODE_SIMPLE:
		status = run_simple(n);
		break;
	case NODE_PIPE:
		status = run_pipe(n);
		break;
	case NODE_SUBSHELL:
		status = run_subshell(n);
		break;
	case NODE_BACKGROUND:
		status = run_background(n->first);
		break;
	case NODE_NOT:
		status = !run_condition(n->first);
		sh.status = status;
		return status;
	case NODE_AND:
	case NODE_OR:
		status = run_condition(n->first);
		if ((status == 0) == (n->kind == NODE_AND) && sh.flow == FLOW_NONE)
			status = run_node(n->second);
		return status;
	case NODE_SEQ:
		run_node(n->first);
		return run_node(n->second);
	case NODE_FUNCTION:
		define_function(n->name, n->name2);
		status = 0;
		break;
	default:
		status = run_compound(n);
		sh.status = status;
		return status;
	}
	sh.status = status;
	check_errexit(status);
	return status;
}
