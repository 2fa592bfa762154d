// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Shell syntax: recursive descent over the tokens of lex.c. */
#include "lex.h"

static struct node *parse_list(struct parser *p, int one_line);
static struct node *parse_command(struct parser *p);

static void unexpected(struct parser *p)
{
	char what[60];

	if (p->token == T_END)
		parse_error(p, PARSE_INCOMPLETE, "unexpected end");
	else if (p->token == T_NEWLINE)
		parse_error(p, PARSE_ERROR, "unexpected end of line");
	else {
		snprintf(what, sizeof(what), "unexpected \"%.*s\"",
			 (int)MIN(p->token_end - p->token_start, 40UL), p->text + p->token_start);
		parse_error(p, PARSE_ERROR, what);
	}
}

static int at_word(struct parser *p, const char *word)
{
	return p->token == T_WORD && !strcmp(p->token_text, word);
}

static int accept(struct parser *p, const char *word)
{
	if (!at_word(p, word))
		return 0;
	next_token(p);
	return 1;
}

static void expect(struct parser *p, const char *word)
{
	if (!accept(p, word))
		unexpected(p);
}

static void skip_newlines(struct parser *p)
{
	while (p->token == T_NEWLINE && p->result == PARSE_OK)
		next_token(p);
}

/* Words that end a list when they stand where a command could. */
static int at_closing_word(struct parser *p)
{
	static const char words[] = "then\0else\0elif\0fi\0do\0done\0esac\0}\0";

	for (const char *w = words; *w; w += strlen(w) + 1)
		if (at_word(p, w))
			return 1;
	return 0;
}

/* ---- commands */

static struct node *new_node(struct parser *p, enum node_kind kind)
{
	struct node *n = arena_alloc(p->arena, sizeof(*n));

	n->kind = kind;
	n->source = p->text + p->token_start;
	return n;
}

static struct node *join(struct parser *p, enum node_kind kind, struct node *a, struct node *b)
{
	struct node *n = new_node(p, kind);

	n->first = a;
	n->second = b;
	n->source = a ? a->source : NULL;
	n->source_len = a ? p->text + p->previous_end - n->source : 0;
	return n;
}

static struct word *new_word(struct parser *p)
{
	struct word *w = arena_alloc(p->arena, sizeof(*w));

	w->text = p->token_text;
	return w;
}

static struct redir *parse_redir(struct parser *p)
{
	struct redir *r = arena_alloc(p->arena, sizeof(*r)), **last;
	char op = p->text[p->at - 1], c = p->at < p->len ? p->text[p->at] : 0;
	int here = 0;

	r->fd = isdigit(p->text[p->token_start]) ? p->text[p->token_start] - '0' : op == '>';
	r->kind = op == '>' ? REDIR_OUT : REDIR_IN;
	if (c == '>' || c == '&' || (op == '<' && c == '<') || (op == '>' && c == '|'))
		p->at++;
	if (c == '&')
		r->kind = REDIR_DUP;
	else if (c == '>')
		r->kind = op == '>' ? REDIR_APPEND : REDIR_READ_WRITE;
	else if (op == '<' && c == '<')
		here = 1;
	next_token(p);
	if (p->token != T_WORD) {
		unexpected(p);
		return r;
	}
	r->target = p->token_text;
	if (here) {
		r->kind = REDIR_HERE;
		r->literal = strchr(r->target, '\'') || strchr(r->target, '"') ||
			     strchr(r->target, '\\');
		if (r->literal)
			r->target = unescape(expand_pattern(r->target, p->arena));
		for (last = &p->pending_here; *last; last = &(*last)->next_here)
			;
		*last = r;
	}
	next_token(p);
	return r;
}

static void parse_redirs(struct parser *p, struct redir **list)
{
	while (p->token == T_REDIR && p->result == PARSE_OK) {
		while (*list)
			list = &(*list)->next;
		*list = parse_redir(p);
	}
}

static int is_assignment(const char *s)
{
	size_t n = name_length(s);

	return n && s[n] == '=';
}

static struct node *parse_function(struct parser *p, struct node *n)
{
	size_t start;
	struct node *body;

	next_token(p);
	if (p->token != T_CLOSE) {
		unexpected(p);
		return n;
	}
	next_token(p);
	skip_newlines(p);
	start = p->token_start;
	n->kind = NODE_FUNCTION;
	n->name = n->words->text;
	body = parse_command(p);
	if (p->result == PARSE_OK && body->kind != NODE_GROUP)
		parse_error(p, PARSE_ERROR, "a function's body is { ...; }");
	if (p->result == PARSE_OK)
		n->name2 = arena_strndup(p->arena, p->text + start, p->previous_end - start);
	return n;
}

static struct node *parse_simple(struct parser *p)
{
	struct node *n = new_node(p, NODE_SIMPLE);
	struct word **words = &n->words, **assigns = &n->assigns;

	while (p->result == PARSE_OK) {
		if (p->token == T_REDIR) {
			parse_redirs(p, &n->redirs);
		} else if (p->token == T_WORD) {
			struct word ***list = !n->words && is_assignment(p->token_text) ?
					      &assigns : &words;

			**list = new_word(p);
			*list = &(**list)->next;
			next_token(p);
		} else if (p->token == T_OPEN && n->words && !n->words->next && !n->redirs) {
			return parse_function(p, n);
		} else {
			break;
		}
	}
	if (!n->words && !n->assigns && !n->redirs)
		unexpected(p);
	return n;
}

static struct node *need_list(struct parser *p)
{
	struct node *n = parse_list(p, 0);

	if (!n)
		unexpected(p);
	return n;
}

static struct node *parse_if(struct parser *p)
{
	struct node *n = new_node(p, NODE_IF);

	next_token(p);			/* "if" or "elif" */
	n->first = need_list(p);
	expect(p, "then");
	n->second = need_list(p);
	if (at_word(p, "elif")) {
		n->third = parse_if(p);
		return n;		/* the inner one took "fi" */
	}
	if (accept(p, "else"))
		n->third = need_list(p);
	expect(p, "fi");
	return n;
}

static struct node *parse_loop(struct parser *p, enum node_kind kind)
{
	struct node *n = new_node(p, kind);

	next_token(p);
	n->first = need_list(p);
	expect(p, "do");
	n->second = need_list(p);
	expect(p, "done");
	return n;
}

static struct node *parse_for(struct parser *p)
{
	struct node *n = new_node(p, NODE_FOR);
	struct word **last = &n->words;

	next_token(p);
	if (p->token != T_WORD || !is_name(p->token_text, strlen(p->token_text))) {
		unexpected(p);
		return n;
	}
	n->name = p->token_text;
	next_token(p);
	if (accept(p, "in")) {
		for (; p->token == T_WORD; next_token(p)) {
			*last = new_word(p);
			last = &(*last)->next;
		}
	} else {			/* for x; do: the positional parameters */
		n->words = arena_alloc(p->arena, sizeof(*n->words));
		n->words->text = "\"$@\"";
	}
	if (p->token == T_SEMI)
		next_token(p);
	skip_newlines(p);
	expect(p, "do");
	n->second = need_list(p);
	expect(p, "done");
	return n;
}

static struct node *parse_case(struct parser *p)
{
	struct node *n = new_node(p, NODE_CASE);
	struct case_item **last = &n->cases;

	next_token(p);
	if (p->token != T_WORD) {
		unexpected(p);
		return n;
	}
	n->name = p->token_text;
	next_token(p);
	skip_newlines(p);
	expect(p, "in");
	skip_newlines(p);
	while (p->result == PARSE_OK && !at_word(p, "esac")) {
		struct case_item *c = arena_alloc(p->arena, sizeof(*c));
		struct word **pattern = &c->patterns;

		if (p->token == T_OPEN)
			next_token(p);
		for (; p->token == T_WORD; next_token(p)) {
			*pattern = new_word(p);
			pattern = &(*pattern)->next;
			next_token(p);
			if (p->token != T_PIPE)
				break;
		}
		if (p->token != T_CLOSE) {
			unexpected(p);
			break;
		}
		next_token(p);
		c->body = parse_list(p, 0);
		*last = c;
		last = &c->next;
		if (p->token != T_DSEMI)
			break;
		next_token(p);
		skip_newlines(p);
	}
	expect(p, "esac");
	return n;
}

static struct node *parse_command(struct parser *p)
{
	struct node *n;

	if (p->token == T_OPEN) {
		n = new_node(p, NODE_SUBSHELL);
		next_token(p);
		n->first = need_list(p);
		if (p->token != T_CLOSE)
			unexpected(p);
		if (p->result == PARSE_OK) {
			n->name = arena_strndup(p->arena, n->source + 1,
						p->text + p->token_start - n->source - 1);
			next_token(p);
		}
	} else if (at_word(p, "{")) {
		n = new_node(p, NODE_GROUP);
		next_token(p);
		n->first = need_list(p);
		expect(p, "}");
	} else if (at_word(p, "if")) {
		n = parse_if(p);
	} else if (at_word(p, "while")) {
		n = parse_loop(p, NODE_WHILE);
	} else if (at_word(p, "until")) {
		n = parse_loop(p, NODE_UNTIL);
	} else if (at_word(p, "for")) {
		n = parse_for(p);
	} else if (at_word(p, "case")) {
		n = parse_case(p);
	} else {
		n = parse_simple(p);
	}
	if (n->kind != NODE_SIMPLE && n->kind != NODE_FUNCTION)
		parse_redirs(p, &n->redirs);
	n->source_len = p->text + p->previous_end - n->source;
	return n;
}

static struct node *parse_pipeline(struct parser *p)
{
	struct node *n, *pipe, *last;
	int not = 0;

	while (accept(p, "!"))
		not = !not;
	n = parse_command(p);
	if (p->token == T_PIPE && p->result == PARSE_OK) {
		pipe = join(p, NODE_PIPE, n, NULL);
		for (last = n; p->token == T_PIPE && p->result == PARSE_OK; last = last->next) {
			next_token(p);
			skip_newlines(p);
			last->next = parse_command(p);
		}
		pipe->source_len = p->text + p->previous_end - pipe->source;
		n = pipe;
	}
	return not ? join(p, NODE_NOT, n, NULL) : n;
}

static struct node *parse_and_or(struct parser *p)
{
	struct node *n = parse_pipeline(p);

	while ((p->token == T_AND || p->token == T_OR) && p->result == PARSE_OK) {
		enum node_kind kind = p->token == T_AND ? NODE_AND : NODE_OR;
		struct node *right;

		next_token(p);
		skip_newlines(p);
		right = parse_pipeline(p);
		n = join(p, kind, n, right);
	}
	return n;
}

/*
 * Commands up to a closing word or bracket; NULL: none.  newlines
 * separate them, unless one_line is set: then the first one ends the list.
 */
static struct node *parse_list(struct parser *p, int one_line)
{
	struct node *list = NULL;

	if (++p->depth > MAX_DEPTH)
		parse_error(p, PARSE_ERROR, "nested too deeply");
	if (!one_line)
		skip_newlines(p);
	while (p->result == PARSE_OK && p->token != T_END && p->token != T_NEWLINE &&
	       p->token != T_CLOSE && p->token != T_DSEMI && !at_closing_word(p)) {
		struct node *n = parse_and_or(p);

		if (p->token == T_AMP)
			n = join(p, NODE_BACKGROUND, n, NULL);
		list = list ? join(p, NODE_SEQ, list, n) : n;
		if (p->token == T_SEMI || p->token == T_AMP)
			next_token(p);
		else if (p->token != T_NEWLINE)
			break;
		if (!one_line)
			skip_newlines(p);
	}
	p->depth--;
	return list;
}

struct node *parse_line(struct parser *p)
{
	struct node *n;

	p->result = PARSE_OK;
	p->pending_here = NULL;
	p->depth = 0;
	p->token_end = p->at;
	next_token(p);
	skip_newlines(p);
	if (p->token == T_END && p->result == PARSE_OK) {
		p->result = PARSE_END;
		return NULL;
	}
	n = parse_list(p, 1);
	if (p->result == PARSE_OK && p->token == T_END && p->pending_here)
		parse_error(p, PARSE_INCOMPLETE, "here-document without end");
	if (p->result == PARSE_OK && p->token != T_NEWLINE && p->token != T_END)
		unexpected(p);
	if (p->result == PARSE_OK && !n)
		unexpected(p);
	return p->result == PARSE_OK ? n : NULL;
}
