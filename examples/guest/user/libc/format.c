// SPDX-License-Identifier: GPL-2.0 OR MIT
/* vsnprintf(): the conversions that stdio.h lists. */
#include "libc.h"

struct sink {
	char *buf;
	size_t size, len;	/* len counts what did not fit, too */
};

static void emit(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void pad(struct sink *s, char c, int n)
{
	while (n-- > 0)
		emit(s, c);
}

static void emit_field(struct sink *s, const char *p, int n, int width, int left)
{
	if (!left)
		pad(s, ' ', width - n);
	for (int i = 0; i < n; i++)
		emit(s, p[i]);
	if (left)
		pad(s, ' ', width - n);
}

/* Digits of `v`, ending at `end`; returns where they start. */
static char *digits(char *end, uint64_t v, unsigned int base, int upper)
{
	do {
		unsigned int d = v % base;

		*--end = d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10;
		v /= base;
	} while (v);
	return end;
}

int vsnprintf(char *buf, size_t n, const char *fmt, va_list args)
{
	struct sink s = { buf, n, 0 };

	for (; *fmt; fmt++) {
		int left = 0, zero = 0, plus = 0, width = 0, precision = -1, longs = 0;
		char tmp[24], *end = tmp + sizeof(tmp), *p, sign = 0, c;
		uint64_t v;

		if (*fmt != '%') {
			emit(&s, *fmt);
			continue;
		}
		for (fmt++;; fmt++) {
			if (*fmt == '-')
				left = 1;
			else if (*fmt == '0')
				zero = 1;
			else if (*fmt == '+')
				plus = 1;
			else
				break;
		}
		if (*fmt == '*') {
			width = va_arg(args, int);
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		if (*fmt == '.') {
			precision = 0;
			if (*++fmt == '*') {
				precision = va_arg(args, int);
				fmt++;
			}
			for (; *fmt >= '0' && *fmt <= '9'; fmt++)
				precision = precision * 10 + *fmt - '0';
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs += *fmt == 'l';
		c = *fmt;
		if (c == 's') {
			const char *str = va_arg(args, const char *);

			str = str ? str : "(null)";
			emit_field(&s, str, precision < 0 ? strlen(str) : strnlen(str, precision),
				   width, left);
			continue;
		}
		if (c == 'c') {
			tmp[0] = va_arg(args, int);
			emit_field(&s, tmp, 1, width, left);
			continue;
		}
		if (c == 0)
			break;
		if (c == '%' || !strchr("diuxXop", c)) {
			emit(&s, c);
			continue;
		}
		if (longs > 1)
			v = va_arg(args, uint64_t);
		else
			v = va_arg(args, unsigned long);
		if (c == 'd' || c == 'i') {
			int64_t i = longs > 1 ? (int64_t)v : (int64_t)(long)v;

			sign = i < 0 ? '-' : plus ? '+' : 0;
			v = i < 0 ? -(uint64_t)i : (uint64_t)i;
		}
		if (c == 'p') {
			zero = 1;
			width = 8;
		}
		p = digits(end, v, c == 'o' ? 8 : c == 'x' || c == 'X' || c == 'p' ? 16 : 10,
			   c == 'X');
		if (zero && !left) {
			if (sign)
				emit(&s, sign);
			pad(&s, '0', width - (end - p) - !!sign);
			width = 0;
		} else if (sign) {
			*--p = sign;
		}
		emit_field(&s, p, end - p, width, left);
	}
	if (n)
		buf[MIN(s.len, n - 1)] = 0;
	return s.len;
}

int snprintf(char *buf, size_t n, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, n, fmt, args);
	va_end(args);
	return len;
}
