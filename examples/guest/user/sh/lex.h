/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Between lex.c and parse.c. */
#ifndef WDBG_LEX_H
#define WDBG_LEX_H

#include "sh.h"

enum {
	T_END, T_NEWLINE, T_WORD, T_SEMI, T_DSEMI, T_AMP, T_AND, T_PIPE, T_OR, T_OPEN, T_CLOSE,
	T_REDIR,
};

#define MAX_DEPTH 100	/* of the grammar, and of brackets in words */

/* Read the next token: token, token_text (words), token_start, token_end. */
void next_token(struct parser *p);

/* Note the first error. */
void parse_error(struct parser *p, enum parse_result result, const char *what);

#endif
