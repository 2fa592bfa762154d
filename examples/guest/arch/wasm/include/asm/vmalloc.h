/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/vmalloc.h> asks for it; there is nothing to say. */
