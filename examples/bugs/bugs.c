// SPDX-License-Identifier: GPL-2.0-only
/* Starts the case that the kernel parameter "bugs.case" names. */
#define pr_fmt(fmt) "bugs: " fmt

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "bugs.h"

#define BUG_MAX_THREADS	4

static char *bugs_case;
module_param_named(case, bugs_case, charp, 0444);
MODULE_PARM_DESC(case, "run this piece of code with a bug");

#define BUG_ENTRY(name)	{ #name, bug_##name },
static const struct {
	const char	*name;
	void		(*fn)(void);
} cases[] = {
	BUG_CASES(BUG_ENTRY)
};

struct bug_thread {
	bug_thread_fn		fn;
	struct task_struct	*task;
	struct completion	done;
};

static int bug_thread(void *data)
{
	struct bug_thread *thread = data;
	int ret = thread->fn(NULL);

	complete(&thread->done);
	return ret;
}

unsigned int bug_cpu(unsigned int n)
{
	return (n + 1) % num_online_cpus();
}

void __bug_run_threads(const bug_thread_fn *fns)
{
	static struct bug_thread threads[BUG_MAX_THREADS];
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(threads) && fns[n]; n++) {
		struct bug_thread *thread = &threads[n];

		thread->fn = fns[n];
		init_completion(&thread->done);
		/* as long as a task's name can be */
		thread->task = kthread_create(bug_thread, thread, "%.13s/%u",
					      bugs_case, n);
		if (IS_ERR(thread->task))
			panic("bugs: no thread for %s", bugs_case);
		kthread_bind(thread->task, bug_cpu(n));
	}
	for (i = 0; i < n; i++)
		wake_up_process(threads[i].task);
	/* not counted as hung if one of them is */
	for (i = 0; i < n; i++)
		wait_for_completion_state(&threads[i].done, TASK_IDLE);
}

void bug_work(unsigned int loops)
{
	while (loops--)
		barrier();
}

static int __init bugs_init(void)
{
	unsigned int i;

	if (!bugs_case)
		return 0;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!strcmp(bugs_case, cases[i].name)) {
			pr_info("%s start\n", bugs_case);
			cases[i].fn();
			pr_info("%s done\n", bugs_case);
			return 0;
		}
	}
	pr_err("no case %s\n", bugs_case);
	return -EINVAL;
}
late_initcall(bugs_init);
