/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Memory for strings and small tables: size classes of powers of two from
 * chunks of 64 KiB; nolibc's malloc() maps at least a page for each call.
 * Out of memory ends the program with status 125, so results need no check.
 * Not for use by threads or signal handlers.
 */
#ifndef WDBG_HEAP_H
#define WDBG_HEAP_H

void *heap_alloc(size_t n);			/* zeroed, 8-byte aligned */
void heap_free(void *p);			/* NULL is fine */
void *heap_grow(void *p, size_t old, size_t n);	/* contents kept, rest zeroed */
char *heap_strdup(const char *s);
char *heap_strndup(const char *s, size_t n);
void *map_pages(size_t n);			/* page aligned, zeroed; NULL: no memory */

/* Memory that is given back all at once. */
struct arena {
	struct arena_chunk *chunk;
	size_t used;
};
void *arena_alloc(struct arena *a, size_t n);	/* zeroed, 8-byte aligned */
char *arena_strndup(struct arena *a, const char *s, size_t n);
void arena_free(struct arena *a);

/* A growing byte string, always NUL-terminated once something was added. */
struct text {
	char *p;
	size_t len, size;
};
void text_add(struct text *t, const char *s, size_t n);
void text_puts(struct text *t, const char *s);
void text_putc(struct text *t, char c);
void text_free(struct text *t);

#endif
