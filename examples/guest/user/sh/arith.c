// SPDX-License-Identifier: GPL-2.0 OR MIT
/* $((...)): 64-bit integers, C's operators and precedence, names of variables. */
#include "sh.h"

struct input {
	const char *p;
	int error;
	int skip;		/* > 0: in a part that is not evaluated: no assignments */
};

static int64_t ternary(struct input *in);

static void space(struct input *in)
{
	while (isspace(*in->p))
		in->p++;
}

static int take(struct input *in, const char *op)
{
	size_t n = strlen(op);

	space(in);
	if (strncmp(in->p, op, n))
		return 0;
	in->p += n;
	return 1;
}

static int64_t value_of(const char *name)
{
	const char *v = get_variable(name);

	return v ? strtoll(v, NULL, 0) : 0;
}

static int64_t assign(struct input *in, const char *name, int64_t v)
{
	char number[24];

	if (!in->skip) {
		snprintf(number, sizeof(number), "%lld", v);
		set_variable(name, number);
	}
	return v;
}

static int64_t divide(struct input *in, char op, int64_t a, int64_t b)
{
	if (b == 0) {
		if (!in->skip)
			in->error = 1;
		return 0;
	}
	if (b == -1)		/* the machine traps on the smallest number / -1 */
		return op == '/' ? (int64_t)-(uint64_t)a : 0;
	return op == '/' ? a / b : a % b;
}

static int64_t variable(struct input *in)
{
	size_t n = name_length(in->p);
	char name[64];
	int64_t v;
	char op;

	if (n >= sizeof(name)) {
		in->error = 1;
		return 0;
	}
	memcpy(name, in->p, n);
	name[n] = 0;
	in->p += n;
	v = value_of(name);
	space(in);
	if (in->p[0] == '+' && in->p[1] == '+') {
		in->p += 2;
		assign(in, name, v + 1);
		return v;
	}
	if (in->p[0] == '-' && in->p[1] == '-') {
		in->p += 2;
		assign(in, name, v - 1);
		return v;
	}
	op = *in->p;
	if (op == '=' && in->p[1] != '=') {
		in->p++;
		return assign(in, name, ternary(in));
	}
	if (op && strchr("+-*/%&|^", op) && in->p[1] == '=') {
		int64_t r;

		in->p += 2;
		r = ternary(in);
		switch (op) {
		case '+': v += r; break;
		case '-': v -= r; break;
		case '*': v *= r; break;
		case '&': v &= r; break;
		case '|': v |= r; break;
		case '^': v ^= r; break;
		default: v = divide(in, op, v, r);
		}
		return assign(in, name, v);
	}
	return v;
}

static int64_t unary(struct input *in)
{
	int64_t v;
	char *end;

	if (stack_is_low()) {
		in->error = 1;
		return 0;
	}
	space(in);
	switch (*in->p) {
	case '!': in->p++; return !unary(in);
	case '~': in->p++; return ~unary(in);
	case '-': in->p++; return -unary(in);
	case '+': in->p++; return unary(in);
	case '(':
		in->p++;
		v = ternary(in);
		if (!take(in, ")"))
			in->error = 1;
		return v;
	}
	if (name_length(in->p))
		return variable(in);
	v = strtoll(in->p, &end, 0);
	if (end == in->p)
		in->error = 1;
	in->p = end;
	return v;
}

static const char operators[][3] = {
	"||", "&&", "|", "^", "&", "==", "!=", "<=", ">=", "<<", ">>", "<", ">", "+", "-", "*", "/",
	"%",
};
static const char precedence[] = { 1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 8, 7, 7, 9, 9, 10, 10, 10 };

static int find_operator(struct input *in)
{
	space(in);
	for (unsigned int i = 0; i < ARRAY_SIZE(operators); i++)
		if (!strncmp(in->p, operators[i], strlen(operators[i])))
			return i;
	return -1;
}

static int64_t binary(struct input *in, int lowest)
{
	int64_t a = unary(in), b;
	int op;

	while (!in->error && (op = find_operator(in)) >= 0 && precedence[op] >= lowest) {
		int skip = (op == 0 && a) || (op == 1 && !a);

		in->p += strlen(operators[op]);
		in->skip += skip;
		b = binary(in, precedence[op] + 1);
		in->skip -= skip;
		switch (op) {
		case 0: a = a || b; break;
		case 1: a = a && b; break;
		case 2: a |= b; break;
		case 3: a ^= b; break;
		case 4: a &= b; break;
		case 5: a = a == b; break;
		case 6: a = a != b; break;
		case 7: a = a <= b; break;
		case 8: a = a >= b; break;
		case 9: a = (uint64_t)a << (b & 63); break;
		case 10: a >>= b & 63; break;
		case 11: a = a < b; break;
		case 12: a = a > b; break;
		case 13: a = (uint64_t)a + b; break;
		case 14: a = (uint64_t)a - b; break;
		case 15: a = (uint64_t)a * b; break;
		default: a = divide(in, op == 16 ? '/' : '%', a, b);
		}
	}
	return a;
}

static int64_t ternary(struct input *in)
{
	int64_t v, yes, no;

	if (stack_is_low()) {
		in->error = 1;
		return 0;
	}
	v = binary(in, 1);

	if (!take(in, "?"))
		return v;
	in->skip += !v;
	yes = ternary(in);
	in->skip -= !v;
	if (!take(in, ":"))
		in->error = 1;
	in->skip += !!v;
	no = ternary(in);
	in->skip -= !!v;
	return v ? yes : no;
}

int64_t arithmetic(const char *expression)
{
	struct input in = { expression, 0, 0 };
	int64_t v;

	space(&in);
	if (!*in.p)
		return 0;
	v = ternary(&in);
	space(&in);
	if (*in.p || in.error) {
		dprintf(2, "sh: arithmetic: %s\n", expression);
		sh.failed = 1;
	}
	return v;
}
