/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Output with one buffer for standard output.  The buffer is written when it
 * is full, by flush(), by exit(), before a child is made and before anything
 * goes to another descriptor; not at line ends.
 *
 * Conversions: d i u x X o c s p %, with flags - 0 +, width and precision
 * (numbers or *), lengths l ll z.
 */
#ifndef WDBG_STDIO_H
#define WDBG_STDIO_H

#define EOF	(-1)
#define __printf(f, a)	__attribute__((format(printf, f, a)))

int printf(const char *fmt, ...) __printf(1, 2);
int dprintf(int fd, const char *fmt, ...) __printf(2, 3);	/* messages: up to 511 bytes */
int snprintf(char *buf, size_t n, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buf, size_t n, const char *fmt, va_list args);
int putchar(int c);
void put(const char *s);			/* without a line end */
void put_bytes(const void *p, size_t n);
int puts(const char *s);
int flush(void);				/* -1 and errno when a write failed */
int write_all(int fd, const void *p, size_t n);

/* Program name (for messages); set by main(). */
extern const char *program;
void warn(const char *what);			/* "program: what: reason of errno" */
void warnx(const char *fmt, ...) __printf(1, 2);
const char *error_name(int error);		/* never NULL */

/* Lines of a descriptor, of any length; one reader per descriptor. */
struct reader {
	int fd;
	int error;				/* errno of a failed read */
	size_t start, end, size;
	char *buf;
};
void reader_init(struct reader *r, int fd);
char *read_line(struct reader *r, size_t *len);	/* without '\n', NUL after it; NULL: end */
void reader_free(struct reader *r);

#endif
