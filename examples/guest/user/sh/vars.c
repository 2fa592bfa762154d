// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Variables, functions, and handing them to children. */
#include "sh.h"

/*
 * In the environment of a subshell, entries that start with this byte carry
 * what a program would not get: "\1name=value" a variable that is not
 * exported, "\1name()=text" a function.
 */
#define PRIVATE	'\1'

static struct variable *variables;
static struct function *functions;

struct variable *all_variables(void)
{
	return variables;
}

struct function *all_functions(void)
{
	return functions;
}

size_t name_length(const char *s)
{
	size_t n = 0;

	if (isdigit(s[0]))
		return 0;
	while (isalnum(s[n]) || s[n] == '_')
		n++;
	return n;
}

int is_name(const char *s, size_t n)
{
	return n && name_length(s) == n;
}

static struct variable *find_variable(const char *name, int create)
{
	struct variable *v;

	for (v = variables; v; v = v->next)
		if (!strcmp(v->name, name))
			return v;
	if (!create)
		return NULL;
	v = heap_alloc(sizeof(*v));
	v->name = heap_strdup(name);
	v->next = variables;
	variables = v;
	return v;
}

const char *get_variable(const char *name)
{
	struct variable *v = find_variable(name, 0);

	return v ? v->value : NULL;
}

void set_variable(const char *name, const char *value)
{
	struct variable *v = find_variable(name, 1);
	char *old = v->value;

	v->value = heap_strdup(value);
	heap_free(old);
}

void export_variable(const char *name)
{
	find_variable(name, 1)->exported = 1;
}

void unset_variable(const char *name)
{
	struct variable **p, *v;

	for (p = &variables; (v = *p); p = &v->next) {
		if (strcmp(v->name, name))
			continue;
		*p = v->next;
		heap_free(v->name);
		heap_free(v->value);
		heap_free(v);
		return;
	}
}

struct function *find_function(const char *name)
{
	struct function *f;

	for (f = functions; f; f = f->next)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

void define_function(const char *name, const char *text)
{
	struct function *f = find_function(name), **p;
	struct parser parser;

	/* An old body is not given back: it may be running. */
	if (f) {
		for (p = &functions; *p != f; p = &(*p)->next)
			;
		*p = f->next;
	}
	f = heap_alloc(sizeof(*f));
	f->name = heap_strdup(name);
	f->text = heap_strdup(text);
	parser = (struct parser){ .text = f->text, .len = strlen(f->text), .arena = &f->arena };
	f->body = parse_line(&parser);
	f->next = functions;
	functions = f;
}

/* Take one NAME=value of the environment. */
static void import_entry(const char *entry)
{
	int private = *entry == PRIVATE;
	const char *equals;
	char *name;

	entry += private;
	equals = strchr(entry, '=');
	if (!equals)
		return;
	name = heap_strndup(entry, equals - entry);
	if (private && equals - entry > 2 && equals[-1] == ')') {
		name[equals - entry - 2] = 0;
		define_function(name, equals + 1);
	} else if (private && !strcmp(name, "$")) {
		sh.pid = atoi(equals + 1);
	} else if (private && !strcmp(name, "?")) {
		sh.status = atoi(equals + 1);
	} else if (is_name(name, equals - entry)) {
		set_variable(name, equals + 1);
		if (!private)
			export_variable(name);
	}
	heap_free(name);
}

void import_environment(void)
{
	for (char **e = environ; *e; e++)
		import_entry(*e);
}

static char *entry(struct arena *a, const char *prefix, const char *name, const char *value)
{
	size_t n = strlen(prefix) + strlen(name) + strlen(value) + 2;
	char *s = arena_alloc(a, n);

	snprintf(s, n, "%s%s=%s", prefix, name, value);
	return s;
}

static int is_overridden(const char *name, char **overrides)
{
	size_t n = strlen(name);

	for (; overrides && *overrides; overrides++)
		if (!strncmp(*overrides, name, n) && (*overrides)[n] == '=')
			return 1;
	return 0;
}

char **make_environment(struct arena *a, char **overrides, int subshell)
{
	static const char private[] = { PRIVATE, 0 };
	struct fields env = { a, NULL, 0, 0 };
	struct function *f;
	struct variable *v;
	char number[24], name[80];

	for (v = variables; v; v = v->next)
		if (v->value && (v->exported || subshell) && !is_overridden(v->name, overrides))
			add_field(&env, entry(a, v->exported ? "" : private, v->name, v->value));
	for (; overrides && *overrides; overrides++)
		add_field(&env, *overrides);
	if (subshell) {
		for (f = functions; f; f = f->next) {
			snprintf(name, sizeof(name), "%s()", f->name);
			add_field(&env, entry(a, private, name, f->text));
		}
		snprintf(number, sizeof(number), "%d", sh.pid);
		add_field(&env, entry(a, private, "$", number));
		snprintf(number, sizeof(number), "%d", sh.status);
		add_field(&env, entry(a, private, "?", number));
	}
	if (!env.v)
		env.v = arena_alloc(a, sizeof(*env.v));
	return env.v;
}
