// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Buffered output and line input; see stdio.h. */
#include "libc.h"

const char *program;

static char out_buf[1024];
static unsigned int out_len;
static int out_error;

int write_all(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= done;
	}
	return 0;
}

int flush(void)
{
	unsigned int n = out_len;

	out_len = 0;		/* first: a handler may print, too */
	if (n && write_all(1, out_buf, n) < 0)
		out_error = errno;
	if (!out_error)
		return 0;
	SET_ERRNO(out_error);
	return -1;
}

void put_bytes(const void *p, size_t n)
{
	if (n > sizeof(out_buf) - out_len)
		flush();
	if (n > sizeof(out_buf)) {
		if (write_all(1, p, n) < 0)
			out_error = errno;
		return;
	}
	memcpy(out_buf + out_len, p, n);
	out_len += n;
}

void put(const char *s)
{
	put_bytes(s, strlen(s));
}

int putchar(int c)
{
	char ch = c;

	put_bytes(&ch, 1);
	return c;
}

int puts(const char *s)
{
	put(s);
	return putchar('\n');
}

int printf(const char *fmt, ...)
{
	char buf[256], *p = buf;
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(buf, sizeof(buf), fmt, args);
	if (n >= (int)sizeof(buf)) {
		p = heap_alloc(n + 1);
		vsnprintf(p, n + 1, fmt, again);
	}
	va_end(again);
	va_end(args);
	put_bytes(p, n);
	if (p != buf)
		heap_free(p);
	return n;
}

int dprintf(int fd, const char *fmt, ...)
{
	char buf[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (n >= (int)sizeof(buf)) {
		n = sizeof(buf) - 1;
		buf[n - 1] = '\n';
	}
	flush();
	write_all(fd, buf, n);
	return n;
}

void warn(const char *what)
{
	dprintf(2, "%s: %s: %s\n", program, what, error_name(errno));
}

void warnx(const char *fmt, ...)
{
	char buf[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	dprintf(2, "%s: %s\n", program, buf);
}

void reader_init(struct reader *r, int fd)
{
	*r = (struct reader){ .fd = fd };
}

char *read_line(struct reader *r, size_t *len)
{
	size_t scanned = r->start;

	for (;;) {
		char *line = r->buf + r->start;
		ssize_t n;

		for (; scanned < r->end; scanned++)
			if (r->buf[scanned] == '\n')
				break;
		if (scanned < r->end) {
			r->buf[scanned] = 0;
			if (len)
				*len = scanned - r->start;
			r->start = scanned + 1;
			return line;
		}
		if (r->start) {
			memmove(r->buf, line, r->end - r->start);
			scanned -= r->start;
			r->end -= r->start;
			r->start = 0;
		}
		if (r->end + 1 >= r->size) {
			size_t size = r->size ? r->size * 2 : 1024;
			char *buf = heap_alloc(size);

			memcpy(buf, r->buf, r->end);
			heap_free(r->buf);
			r->buf = buf;
			r->size = size;
		}
		n = read(r->fd, r->buf + r->end, r->size - r->end - 1);
		if (n > 0) {
			r->end += n;
			continue;
		}
		r->error = n < 0 ? errno : 0;
		if (r->start == r->end)
			return NULL;
		r->buf[r->end] = 0;	/* a last line without a line end */
		if (len)
			*len = r->end - r->start;
		line = r->buf + r->start;
		r->start = r->end;
		return line;
	}
}

void reader_free(struct reader *r)
{
	heap_free(r->buf);
	r->buf = NULL;
}
