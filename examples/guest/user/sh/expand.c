// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Expansion of words: quotes, $parameters, $(commands), $((arithmetic)), splitting into fields,
 * file names.  Until the end a field is in pattern form (see match.c), so that quoted
 * characters and those that are patterns can be told apart.
 */
#include "sh.h"

struct expansion {
	struct arena *arena;
	struct fields *out;	/* NULL: one string, no splitting, no file names */
	struct text current;
	int started;		/* there is a field, though it may be empty */
};

static void expand_part(struct expansion *x, const char *s, const char *end, int quoted);

void add_field(struct fields *f, char *s)
{
	if (f->n + 2 > f->size) {
		int size = f->size ? f->size * 2 : 8;
		char **v = arena_alloc(f->arena, size * sizeof(*v));

		memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
		f->size = size;
	}
	f->v[f->n++] = s;
	f->v[f->n] = NULL;
}

static void end_field(struct expansion *x)
{
	char *pattern;

	if (!x->started)
		return;
	pattern = arena_strndup(x->arena, x->current.p ? x->current.p : "", x->current.len);
	if (!has_magic(pattern) || !glob(pattern, x->out))
		add_field(x->out, unescape(pattern));
	x->current.len = 0;
	x->started = 0;
}

static void add_plain(struct expansion *x, char c)
{
	if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\' || c == '-')
		text_putc(&x->current, '\\');
	text_putc(&x->current, c);
	x->started = 1;
}

/* The value of an expansion: split where it is not quoted. */
static void add_value(struct expansion *x, const char *value, int quoted)
{
	for (; *value; value++) {
		if (quoted) {
			add_plain(x, *value);
		} else if (x->out && (*value == ' ' || *value == '\t' || *value == '\n')) {
			end_field(x);
		} else if (*value == '\\') {
			add_plain(x, *value);
		} else {
			text_putc(&x->current, *value);
			x->started = 1;
		}
	}
	if (quoted)
		x->started = 1;
}

static void add_number(struct expansion *x, long long v, int quoted)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", v);
	add_value(x, number, quoted);
}

/* "$@" and "$*" and their unquoted forms. */
static void add_arguments(struct expansion *x, char which, int quoted)
{
	for (int i = 1; i <= sh.argc; i++) {
		if (i > 1) {
			if (quoted && which == '*')
				add_plain(x, ' ');
			else if (x->out)
				end_field(x);
			else
				text_putc(&x->current, ' ');
		}
		if (quoted)
			x->started = 1;
		add_value(x, sh.argv[i], quoted);
	}
}

/* The value of a special or positional parameter or a variable; NULL: not set. */
static const char *parameter(const char *name, size_t n, char *number)
{
	const char *v;
	char *key;

	if (isdigit(*name)) {
		int i = atoi(name);

		return i <= sh.argc && sh.argv ? sh.argv[i] : NULL;
	}
	number[0] = 0;
	switch (*name) {
	case '?': snprintf(number, 24, "%d", sh.status); return number;
	case '$': snprintf(number, 24, "%d", sh.pid); return number;
	case '#': snprintf(number, 24, "%d", sh.argc); return number;
	case '!':
		if (sh.background_pid)
			snprintf(number, 24, "%d", sh.background_pid);
		return number;
	case '-': return sh.interactive ? "i" : "";
	}
	key = heap_strndup(name, n);
	v = get_variable(key);
	heap_free(key);
	return v;
}

static size_t parameter_length(const char *s, const char *end)
{
	size_t n = 0;

	if (s < end && strchr("?$#!@*-", *s))
		return 1;
	if (s < end && isdigit(*s)) {
		while (s + n < end && isdigit(s[n]))
			n++;
		return n;
	}
	return name_length(s);
}

/* Cut what matches the pattern off the front (#) or the end (%), at least or at most. */
static char *trim(struct arena *a, const char *value, const char *pattern, char side, int longest)
{
	size_t len = strlen(value), n;
	char *copy = arena_strndup(a, value, len);

	for (n = 0; n <= len; n++) {
		size_t cut = longest ? len - n : n;
		char saved;

		if (side == '%') {
			if (match(pattern, copy + len - cut)) {
				copy[len - cut] = 0;
				return copy;
			}
		} else {
			saved = copy[cut];
			copy[cut] = 0;
			if (match(pattern, copy)) {
				copy[cut] = saved;
				return copy + cut;
			}
			copy[cut] = saved;
		}
	}
	return copy;
}

/* The inside of ${...}. */
static void expand_braces(struct expansion *x, const char *s, const char *end, int quoted)
{
	int length = *s == '#' && end - s > 1, colon, unset;
	size_t n;
	const char *name = s + length, *value, *op;
	char number[24], *word, *key;

	n = parameter_length(name, end);
	op = name + n;
	if (!n || op > end || (length && op != end)) {
		dprintf(2, "sh: ${%.*s}: bad substitution\n", (int)(end - s), s);
		sh.failed = 1;
		return;
	}
	if (n == 1 && (*name == '@' || *name == '*') && op == end && !length) {
		add_arguments(x, *name, quoted);
		return;
	}
	value = parameter(name, n, number);
	if (length) {
		add_number(x, value ? strlen(value) : 0, quoted);
		return;
	}
	if (op == end) {
		add_value(x, value ? value : "", quoted);
		return;
	}
	if (*op == '%' || *op == '#') {
		int longest = op + 1 < end && op[1] == *op;

		word = arena_strndup(x->arena, op + 1 + longest, end - op - 1 - longest);
		word = expand_pattern(word, x->arena);
		add_value(x, trim(x->arena, value ? value : "", word, *op, longest), quoted);
		return;
	}
	colon = *op == ':';
	op += colon;
	unset = !value || (colon && !*value);
	switch (op < end ? *op : 0) {
	case '-':
		if (unset)
			expand_part(x, op + 1, end, quoted);
		else
			add_value(x, value, quoted);
		break;
	case '+':
		if (!unset)
			expand_part(x, op + 1, end, quoted);
		break;
	case '=':
		if (unset) {
			word = arena_strndup(x->arena, op + 1, end - op - 1);
			word = expand_string(word, x->arena);
			key = arena_strndup(x->arena, name, n);
			set_variable(key, word);
			value = word;
		}
		add_value(x, value, quoted);
		break;
	case '?':
		if (unset) {
			dprintf(2, "sh: %.*s: %.*s\n", (int)n, name, (int)(end - op - 1), op + 1);
			sh.failed = 1;
		} else {
			add_value(x, value, quoted);
		}
		break;
	default:
		dprintf(2, "sh: ${%.*s}: bad substitution\n", (int)(end - s), s);
		sh.failed = 1;
	}
}

static void expand_command(struct expansion *x, const char *s, size_t n, int quoted)
{
	add_value(x, command_output(s, n, x->arena), quoted);
}

/* At a '$'; returns what it took. */
static size_t expand_dollar(struct expansion *x, const char *s, const char *end, int quoted)
{
	size_t n = skip_substitution(s, end);
	const char *value;
	char number[24];

	if (!n)
		n = 1;
	if (n > 1 && s[1] == '(' && s[2] == '(' && s[n - 2] == ')') {
		char *e = arena_strndup(x->arena, s + 3, n - 5);

		add_number(x, arithmetic(expand_string(e, x->arena)), quoted);
		return n;
	}
	if (n > 1 && s[1] == '(') {
		expand_command(x, s + 2, n - 3, quoted);
		return n;
	}
	if (n > 1) {
		expand_braces(x, s + 2, s + n - 1, quoted);
		return n;
	}
	n = isdigit(s[1]) ? 1 : parameter_length(s + 1, end);
	if (!n || s + 1 + n > end) {
		add_plain(x, '$');
		return 1;
	}
	if (s[1] == '@' || s[1] == '*') {
		add_arguments(x, s[1], quoted);
		return 2;
	}
	if (isdigit(s[1])) {
		char digit[2] = { s[1], 0 };

		value = parameter(digit, 1, number);
	} else {
		value = parameter(s + 1, n, number);
	}
	add_value(x, value ? value : "", quoted);
	return n + 1;
}

static void expand_backquotes(struct expansion *x, const char *s, size_t n, int quoted)
{
	char *text = arena_alloc(x->arena, n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && i + 1 < n && strchr("\\`$", s[i + 1]))
			i++;
		text[len++] = s[i];
	}
	expand_command(x, text, len, quoted);
}

/* Text that may hold expansions; `quoted`: inside double quotes. */
static void expand_part(struct expansion *x, const char *s, const char *end, int quoted)
{
	size_t n;

	if (stack_is_low()) {
		dprintf(2, "sh: nested too deeply\n");
		sh.failed = 1;
		return;
	}
	while (s < end) {
		switch (*s) {
		case '\\':
			if (s + 1 >= end) {
				add_plain(x, *s++);
			} else if (s[1] == '\n') {
				s += 2;
			} else if (quoted && !strchr("\\\"$`", s[1])) {
				add_plain(x, *s++);
			} else {
				add_plain(x, s[1]);
				s += 2;
			}
			continue;
		case '\'':
			if (quoted)
				break;
			x->started = 1;
			for (s++; s < end && *s != '\''; s++)
				add_plain(x, *s);
			s++;
			continue;
		case '"':
			n = skip_substitution(s, end);
			if (quoted || !n)
				break;
			/* "$@" with no arguments is no field, but "" is one. */
			x->started |= n != 4 || s[1] != '$' || s[2] != '@';
			expand_part(x, s + 1, s + n - 1, 1);
			s += n;
			continue;
		case '`':
			n = skip_substitution(s, end);
			if (!n)
				break;
			expand_backquotes(x, s + 1, n - 2, quoted);
			s += n;
			continue;
		case '$':
			s += expand_dollar(x, s, end, quoted);
			continue;
		}
		if (quoted) {
			add_plain(x, *s);
		} else {
			text_putc(&x->current, *s);
			x->started = 1;
		}
		s++;
	}
}

/* "~" and "~/..." at the start of a word. */
static const char *expand_home(struct expansion *x, const char *word)
{
	const char *home = get_variable("HOME");

	if (word[0] != '~' || (word[1] && word[1] != '/') || !home)
		return word;
	add_value(x, home, 1);
	return word + 1;
}

int is_plain(const char *s)
{
	for (; *s; s++)
		if (strchr("$`\\'\"*?[~", *s))
			return 0;
	return 1;
}

void expand_words(struct word *w, struct fields *out)
{
	for (; w; w = w->next) {
		struct expansion x = { .arena = out->arena, .out = out };
		const char *s;

		if (is_plain(w->text)) {
			add_field(out, w->text);
			continue;
		}
		s = expand_home(&x, w->text);
		expand_part(&x, s, s + strlen(s), 0);
		end_field(&x);
		text_free(&x.current);
	}
}

char *expand_pattern(const char *word, struct arena *a)
{
	struct expansion x = { .arena = a };
	const char *s = expand_home(&x, word);
	char *result;

	expand_part(&x, s, s + strlen(s), 0);
	result = arena_strndup(a, x.current.p ? x.current.p : "", x.current.len);
	text_free(&x.current);
	return result;
}

char *expand_string(const char *word, struct arena *a)
{
	return unescape(expand_pattern(word, a));
}

char *expand_here(const char *text, struct arena *a)
{
	struct expansion x = { .arena = a };
	char *result;

	expand_part(&x, text, text + strlen(text), 1);
	result = arena_strndup(a, x.current.p ? x.current.p : "", x.current.len);
	text_free(&x.current);
	return unescape(result);
}
