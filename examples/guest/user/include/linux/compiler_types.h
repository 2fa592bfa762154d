/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The kernel's user-space headers name this file and linux/compiler.h; "make
 * headers_install" takes the lines out.  We read the headers where they lie
 * in the kernel tree, so the few names that they use are defined here.
 */
#ifndef WDBG_COMPILER_TYPES_H
#define WDBG_COMPILER_TYPES_H
#define __user
#define __force
#define __bitwise
#define __attribute_const__	__attribute__((__const__))
#ifndef __always_inline
#define __always_inline		inline __attribute__((__always_inline__))
#endif
#endif
