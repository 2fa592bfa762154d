// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Running the syntax tree: compound commands; see simple.c and pipeline.c. */
#include "sh.h"

void check_errexit(int status)
{
	if (status && sh.errexit && !sh.checked && !sh.interactive)
		exit(status);
}

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
