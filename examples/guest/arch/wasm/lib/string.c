// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.copy and memory.fill, in assembly: from C, the compiler would make
 * calls of memcpy() and memset() of them, that is, of themselves.
 */
#include <linux/string.h>

#undef memcpy
#undef memmove
#undef memset

void *memmove(void *dest, const void *src, size_t n)
{
	asm volatile("local.get %0\n\tlocal.get %1\n\tlocal.get %2\n\t"
		     "memory.copy 0, 0"
		     :: "r" (dest), "r" (src), "r" (n) : "memory");
	return dest;
}

void *memcpy(void *dest, const void *src, size_t n)
{
	asm volatile("local.get %0\n\tlocal.get %1\n\tlocal.get %2\n\t"
		     "memory.copy 0, 0"
		     :: "r" (dest), "r" (src), "r" (n) : "memory");
	return dest;
}

void *memset(void *dest, int c, size_t n)
{
	asm volatile("local.get %0\n\tlocal.get %1\n\tlocal.get %2\n\t"
		     "memory.fill 0"
		     :: "r" (dest), "r" (c), "r" (n) : "memory");
	return dest;
}
