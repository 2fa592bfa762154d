// SPDX-License-Identifier: GPL-2.0-only
/* The host's clock, and the one-shot timer that it has for each CPU. */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/sched/clock.h>
#include <asm/archrandom.h>
#include <asm/host.h>
#include <asm/timex.h>
#include "time.h"

static DEFINE_PER_CPU(struct clock_event_device, wasm_clockevent);

static u64 wasm_clock_read(struct clocksource *cs)
{
	return wasm_cpu_clock_get_monotonic();
}

static struct clocksource wasm_clocksource = {
	.name	= "wasm-host",
	.rating	= 400,
	.read	= wasm_clock_read,
	.mask	= CLOCKSOURCE_MASK(64),
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
};

static u64 boot_clock;

unsigned long long notrace sched_clock(void)
{
	return wasm_cpu_clock_get_monotonic() - boot_clock;
}

cycles_t get_cycles(void)
{
	return wasm_cpu_clock_get_monotonic();
}

/* See asm/archrandom.h: a number generator (splitmix64), not entropy. */
size_t arch_get_random_seed_longs(unsigned long *v, size_t max)
{
	static atomic64_t state;
	u64 x = atomic64_add_return(0x9e3779b97f4a7c15ULL, &state) +
		wasm_cpu_clock_get_monotonic();

	if (!max)
		return 0;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	*v = x ^ (x >> 31);
	return 1;
}

static int wasm_timer_set_next_event(unsigned long delta,
				     struct clock_event_device *ce)
{
	wasm_timer_program(smp_processor_id(),
			   wasm_cpu_clock_get_monotonic() + delta);
	return 0;
}

static int wasm_timer_stop(struct clock_event_device *ce)
{
	wasm_timer_program(smp_processor_id(), 0);
	return 0;
}

static irqreturn_t wasm_timer_interrupt(int irq, void *dev)
{
	struct clock_event_device *ce = this_cpu_ptr(&wasm_clockevent);

	if (ce->event_handler)
		ce->event_handler(ce);
	return IRQ_HANDLED;
}

void wasm_clockevent_setup(void)
{
	unsigned int cpu = smp_processor_id();
	struct clock_event_device *ce = &per_cpu(wasm_clockevent, cpu);

	ce->name = "wasm-timer";
	ce->features = CLOCK_EVT_FEAT_ONESHOT;
	ce->rating = 300;
	ce->irq = WASM_IRQ_TIMER;
	ce->cpumask = cpumask_of(cpu);
	ce->set_next_event = wasm_timer_set_next_event;
	ce->set_state_shutdown = wasm_timer_stop;
	ce->set_state_oneshot_stopped = wasm_timer_stop;
	/* an idle CPU wakes every 4 seconds, as an interval is 32 bits wide */
	clockevents_config_and_register(ce, NSEC_PER_SEC, 1, ULONG_MAX);
}

void __init time_init(void)
{
	boot_clock = wasm_cpu_clock_get_monotonic();
	clocksource_register_hz(&wasm_clocksource, NSEC_PER_SEC);
	if (request_irq(WASM_IRQ_TIMER, wasm_timer_interrupt,
			IRQF_PERCPU | IRQF_TIMER, "timer", NULL))
		panic("no timer interrupt");
	wasm_clockevent_setup();
}

/* A "loop" of __delay() is a nanosecond. */
void calibrate_delay(void)
{
	loops_per_jiffy = NSEC_PER_SEC / HZ;
}

void __delay(unsigned long loops)
{
	u64 end = wasm_cpu_clock_get_monotonic() + loops;

	/* Not cpu_relax(): what is waited for here is time alone. */
	while (wasm_cpu_clock_get_monotonic() < end)
		wasm_poll_irqs();
}

void __ndelay(unsigned long nsecs)
{
	__delay(nsecs);
}

void __udelay(unsigned long usecs)
{
	while (usecs > 1000000) {
		__delay(1000000000);
		usecs -= 1000000;
	}
	__delay(usecs * 1000);
}
