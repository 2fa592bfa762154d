// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Shell syntax: tokens. */
#include "lex.h"

void parse_error(struct parser *p, enum parse_result result, const char *what)
{
	if (p->result != PARSE_OK)
		return;
	p->result = result;
	snprintf(p->message, sizeof(p->message), "syntax error: %s", what);
}

/* After an opening bracket: to behind its closing partner. */
static size_t skip_brackets(const char *s, const char *end, char open, char close)
{
	static int nesting;	/* of the brackets in brackets: they recurse */
	const char *p = s;
	int depth = 1;
	size_t n = 0;

	if (nesting >= MAX_DEPTH)
		return 0;
	nesting++;
	while (p < end && depth) {
		if (*p == '\\') {
			p += 2;
		} else if (*p == '\'' || *p == '"' || *p == '`' || *p == '$') {
			n = skip_substitution(p, end);
			if (!n)
				break;
			p += n;
		} else {
			depth += *p == open ? 1 : *p == close ? -1 : 0;
			p++;
		}
	}
	nesting--;
	return depth || p > end ? 0 : p - s;
}

size_t skip_substitution(const char *s, const char *end)
{
	const char *p = s + 1;
	size_t n;

	switch (*s) {
	case '\'':
		while (p < end && *p != '\'')
			p++;
		return p < end ? p + 1 - s : 0;
	case '`':
		while (p < end && *p != '`')
			p += *p == '\\' ? 2 : 1;
		return p < end ? p + 1 - s : 0;
	case '"':
		while (p < end && *p != '"') {
			if (*p == '\\') {
				p += 2;
			} else if (*p == '$' || *p == '`') {
				n = skip_substitution(p, end);
				if (!n)
					return 0;
				p += n;
			} else {
				p++;
			}
		}
		return p < end ? p + 1 - s : 0;
	case '$':
		if (p < end && *p == '(')
			n = skip_brackets(p + 1, end, '(', ')');
		else if (p < end && *p == '{')
			n = skip_brackets(p + 1, end, '{', '}');
		else
			return 1;
		return n ? n + 2 : 0;
	}
	return 1;
}

static int is_operator(char c)
{
	return strchr(";&|<>()", c) != NULL;
}

/* The texts of here-documents follow the line that asks for them. */
static void read_here_documents(struct parser *p)
{
	struct redir *r;

	for (r = p->pending_here; r; r = r->next_here) {
		size_t start = p->at, end = start, n = strlen(r->target);

		for (;;) {
			size_t line = end;

			if (end >= p->len) {
				parse_error(p, PARSE_INCOMPLETE, "here-document without end");
				return;
			}
			while (end < p->len && p->text[end] != '\n')
				end++;
			if (end - line == n && !memcmp(p->text + line, r->target, n)) {
				r->target = arena_strndup(p->arena, p->text + start, line - start);
				p->at = MIN(end + 1, p->len);
				break;
			}
			end++;
		}
	}
	p->pending_here = NULL;
}

void next_token(struct parser *p)
{
	const char *end = p->text + p->len, *s;

	p->previous_end = p->token_end;
	p->token_text = NULL;
	for (;;) {
		s = p->text + p->at;
		if (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
			p->at++;
		else if (s + 1 < end && s[0] == '\\' && s[1] == '\n')
			p->at += 2;
		else if (s < end && *s == '#')
			while (p->at < p->len && p->text[p->at] != '\n')
				p->at++;
		else
			break;
	}
	p->token_start = p->at;
	if (s >= end) {
		p->token = T_END;
	} else if (*s == '\n') {
		p->at++;
		p->token = T_NEWLINE;
		if (p->pending_here) {
			p->token_end = p->at;
			read_here_documents(p);
			return;
		}
	} else if (*s == '<' || *s == '>') {
		p->token = T_REDIR;		/* parse_redir() reads the rest */
		p->at++;
	} else if (is_operator(*s)) {
		int twice = s + 1 < end && s[1] == *s;

		p->token = *s == ';' ? T_SEMI : *s == '&' ? T_AMP : *s == '|' ? T_PIPE :
			   *s == '(' ? T_OPEN : T_CLOSE;
		if (twice && (*s == ';' || *s == '&' || *s == '|')) {
			p->token++;		/* T_DSEMI, T_AND, T_OR */
			p->at++;
		}
		p->at++;
	} else {
		const char *w = s;

		while (w < end && !is_operator(*w) && *w != ' ' && *w != '\t' && *w != '\n') {
			size_t n = *w == '\\' ? 2 : skip_substitution(w, end);

			if (!n || w + n > end) {
				parse_error(p, PARSE_INCOMPLETE, "unfinished quotes or brackets");
				p->token = T_END;
				return;
			}
			w += n;
		}
		p->at = w - p->text;
		p->token = T_WORD;
		if (w < end && (*w == '<' || *w == '>') && w == s + 1 && isdigit(*s)) {
			p->token = T_REDIR;	/* "2>": parse_redir() looks back */
			p->at++;
		} else {
			p->token_text = arena_strndup(p->arena, s, w - s);
		}
	}
	p->token_end = p->at;
}
