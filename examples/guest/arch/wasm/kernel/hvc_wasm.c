// SPDX-License-Identifier: GPL-2.0-only
/* The host's console.  It interrupts for input and for a new window size. */
#include <linux/console.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include "hvc_console.h"
#include <asm/host.h>

static ssize_t wasm_hvc_put_chars(uint32_t vtermno, const u8 *buf, size_t n)
{
	return wasm_driver_hvc_put(buf, n);
}

static ssize_t wasm_hvc_get_chars(uint32_t vtermno, u8 *buf, size_t n)
{
	return wasm_driver_hvc_get(buf, n);
}

static void update_winsize(struct hvc_struct *hp)
{
	u32 size = wasm_console_winsize();
	struct winsize ws = { .ws_row = size >> 16, .ws_col = size };

	if (size && (hp->ws.ws_row != ws.ws_row || hp->ws.ws_col != ws.ws_col))
		hvc_resize(hp, ws);
}

static irqreturn_t wasm_hvc_interrupt(int irq, void *dev)
{
	struct hvc_struct *hp = dev;

	update_winsize(hp);
	if (hvc_poll(hp))
		hvc_kick();
	return IRQ_HANDLED;
}

static int wasm_hvc_notifier_add(struct hvc_struct *hp, int irq)
{
	int ret = request_irq(irq, wasm_hvc_interrupt, 0, "hvc", hp);

	if (!ret) {
		hp->irq_requested = 1;
		update_winsize(hp);
	}
	return ret;
}

static void wasm_hvc_notifier_del(struct hvc_struct *hp, int irq)
{
	if (hp->irq_requested) {
		free_irq(irq, hp);
		hp->irq_requested = 0;
	}
}

static const struct hv_ops wasm_hvc_ops = {
	.get_chars		= wasm_hvc_get_chars,
	.put_chars		= wasm_hvc_put_chars,
	.notifier_add		= wasm_hvc_notifier_add,
	.notifier_del		= wasm_hvc_notifier_del,
	.notifier_hangup	= wasm_hvc_notifier_del,
};

static int __init hvc_wasm_console_init(void)
{
	hvc_instantiate(0, 0, &wasm_hvc_ops);
	add_preferred_console("hvc", 0, NULL);
	return 0;
}
console_initcall(hvc_wasm_console_init);

static int __init hvc_wasm_init(void)
{
	return PTR_ERR_OR_ZERO(hvc_alloc(0, WASM_IRQ_CONSOLE, &wasm_hvc_ops, 256));
}
device_initcall(hvc_wasm_init);
