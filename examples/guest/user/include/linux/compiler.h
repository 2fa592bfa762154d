/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* See linux/compiler_types.h. */
#include <linux/compiler_types.h>
