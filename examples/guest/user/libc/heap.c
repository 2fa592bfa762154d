// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Small-object allocator, arenas and growing strings; see heap.h. */
#include "libc.h"

#define MIN_SHIFT	4		/* smallest block: 16 bytes with its header */
#define MAX_SHIFT	15		/* larger ones are mapped one by one */
#define CHUNK		(64 * 1024)

union header {
	uint64_t align;
	struct {
		unsigned int shift;	/* size class, 0: mapped alone */
		size_t mapped;		/* bytes, then */
	};
};

struct free_block {
	union header header;
	struct free_block *next;
};

static struct free_block *free_list[MAX_SHIFT + 1];
static char *chunk;
static size_t chunk_left;

static void out_of_memory(void)
{
	dprintf(2, "%s: out of memory\n", program);
	exit(125);
}

void *map_pages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static union header *take(unsigned int shift)
{
	struct free_block *b = free_list[shift];
	size_t size = (size_t)1 << shift;
	union header *h;

	if (b) {
		free_list[shift] = b->next;
		memset(b, 0, size);
		h = &b->header;
	} else {
		if (chunk_left < size) {
			/* What is left of the old chunk is lost: less than 32 KiB. */
			chunk = map_pages(CHUNK);
			if (!chunk)
				out_of_memory();
			chunk_left = CHUNK;
		}
		h = (union header *)chunk;
		chunk += size;
		chunk_left -= size;
	}
	h->shift = shift;
	return h;
}

void *heap_alloc(size_t n)
{
	unsigned int shift = MIN_SHIFT;
	union header *h;

	n += sizeof(*h);
	if (n > (size_t)1 << MAX_SHIFT) {
		n = (n + 4095) & -4096UL;
		h = map_pages(n);
		if (!h)
			out_of_memory();
		h->mapped = n;
		return h + 1;
	}
	while ((size_t)1 << shift < n)
		shift++;
	return take(shift) + 1;
}

void heap_free(void *p)
{
	union header *h = (union header *)p - 1;
	struct free_block *b = (struct free_block *)h;

	if (!p)
		return;
	if (!h->shift) {
		munmap(h, h->mapped);
		return;
	}
	b->next = free_list[h->shift];
	free_list[h->shift] = b;
}

void *heap_grow(void *p, size_t old, size_t n)
{
	void *new = heap_alloc(n);

	memcpy(new, p, MIN(old, n));
	heap_free(p);
	return new;
}

char *heap_strndup(const char *s, size_t n)
{
	char *p = heap_alloc(n + 1);

	memcpy(p, s, n);
	return p;
}

char *heap_strdup(const char *s)
{
	return heap_strndup(s, strlen(s));
}

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	uint64_t data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	void *p;

	n = (n + 7) & -8UL;
	if (!a->chunk || a->chunk->size - a->used < n) {
		size_t size = n > 2000 ? n : 2000;
		struct arena_chunk *c = heap_alloc(sizeof(*c) + size);

		c->size = size;
		c->next = a->chunk;
		a->chunk = c;
		a->used = 0;
	}
	p = (char *)a->chunk->data + a->used;
	a->used += n;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	return p;
}

void arena_free(struct arena *a)
{
	struct arena_chunk *c = a->chunk, *next;

	for (; c; c = next) {
		next = c->next;
		heap_free(c);
	}
	*a = (struct arena){ 0 };
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (t->len + n + 1 > t->size) {
		size_t size = (t->len + n + 1) * 2 + 24;

		t->p = heap_grow(t->p, t->len, size);
		t->size = size;
	}
	memcpy(t->p + t->len, s, n);
	t->len += n;
	t->p[t->len] = 0;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_putc(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_free(struct text *t)
{
	heap_free(t->p);
	*t = (struct text){ 0 };
}
