// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Jobs: the processes of a pipeline, in the foreground or not. */
#include "sh.h"

static struct job jobs[MAX_JOBS];
static int newest;		/* number of the job that was touched last */

int exit_status(int status)
{
	if (WIFSTOPPED(status))
		return 128 + WSTOPSIG(status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *signal_text(int sig)
{
	switch (sig) {
	case SIGHUP: return "Hangup";
	case SIGQUIT: return "Quit";
	case SIGILL: return "Illegal instruction";
	case SIGTRAP: return "Trap";
	case SIGABRT: return "Aborted";
	case SIGBUS: return "Bus error";
	case SIGFPE: return "Arithmetic exception";
	case SIGKILL: return "Killed";
	case SIGSEGV: return "Segmentation fault";
	case SIGALRM: return "Alarm clock";
	case SIGTERM: return "Terminated";
	case SIGUSR1: return "User signal 1";
	case SIGUSR2: return "User signal 2";
	}
	return "Killed by a signal";
}

struct job *new_job(const char *text, size_t len)
{
	for (int i = 0; i < MAX_JOBS; i++) {
		if (jobs[i].number)
			continue;
		jobs[i] = (struct job){ .number = i + 1, .text = heap_strndup(text, len) };
		return &jobs[i];
	}
	dprintf(2, "sh: too many jobs\n");
	return NULL;
}

void free_job(struct job *j)
{
	heap_free(j->text);
	*j = (struct job){ 0 };
}

void add_process(struct job *j, int pid)
{
	if (!j->n)
		j->group = pid;
	j->pid[j->n] = pid;
	j->state[j->n++] = 'r';
}

void job_spawn(struct job *j, int foreground, struct spawn *how)
{
	how->tty = sh.tty;
	how->group = j->group;
	how->flags = 0;
	if (sh.job_control)
		how->flags = SPAWN_GROUP | SPAWN_SIGNALS | (foreground ? SPAWN_FOREGROUND : 0);
	else if (!foreground)
		how->flags = SPAWN_QUIET_INT;
	if (!foreground)
		newest = j->number;
}

static void record(struct job *j, int i, int status)
{
	j->status[i] = status;
	j->state[i] = WIFSTOPPED(status) ? 's' : 'd';
}

static int has_state(struct job *j, char state)
{
	for (int i = 0; i < j->n; i++)
		if (j->state[i] == state)
			return 1;
	return 0;
}

static void show(struct job *j)
{
	int status = j->n ? j->status[j->n - 1] : 0;
	const char *state = "Running";
	char done[24];

	if (has_state(j, 's')) {
		state = "Stopped";
	} else if (!has_state(j, 'r')) {
		state = "Done";
		if (WIFSIGNALED(status))
			state = signal_text(WTERMSIG(status));
		else if (status) {
			snprintf(done, sizeof(done), "Exit %d", WEXITSTATUS(status));
			state = done;
		}
	}
	dprintf(2, "[%d]%c %-12s %s\n", j->number, j->number == newest ? '+' : ' ', state,
		j->text);
}

/* Wait for the job's processes; returns when all are done or one has stopped. */
static void wait_processes(struct job *j)
{
	int options = sh.job_control ? WUNTRACED : 0, status, i;

	for (i = 0; i < j->n; i++) {
		while (j->state[i] == 'r') {
			if (wait_child(j->pid[i], &status, options, NULL) > 0) {
				record(j, i, status);
				if (WIFSTOPPED(status))
					return;
			} else if (errno != EINTR) {
				record(j, i, 127 << 8);
			}
		}
	}
}

int wait_job(struct job *j)
{
	int status = 0, signal;

	wait_processes(j);
	if (sh.job_control)
		tcsetpgrp(sh.tty, sh.group);
	if (has_state(j, 's')) {
		newest = j->number;
		dprintf(2, "\n");
		show(j);
		return 128 + SIGTSTP;
	}
	if (j->n)
		status = j->status[j->n - 1];
	if (WIFSIGNALED(status)) {
		signal = WTERMSIG(status);
		if (signal == SIGINT) {
			if (sh.interactive)
				sh.interrupted = 1;
		} else if (signal != SIGPIPE) {
			dprintf(2, "sh: %d: %s: %s\n", j->pid[j->n - 1], j->text,
				signal_text(signal));
		}
	}
	free_job(j);
	return exit_status(status);
}

int resume_job(struct job *j, int foreground)
{
	for (int i = 0; i < j->n; i++)
		if (j->state[i] == 's')
			j->state[i] = 'r';
	newest = j->number;
	if (foreground && sh.job_control)
		tcsetpgrp(sh.tty, j->group);
	kill(-j->group, SIGCONT);
	if (foreground)
		return wait_job(j);
	return 0;
}

void check_jobs(int tell)
{
	int status, changed;

	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
		if (!j->number)
			continue;
		changed = 0;
		for (int i = 0; i < j->n; i++) {
			if (j->state[i] != 'r')
				continue;
			if (wait_child(j->pid[i], &status, WNOHANG | WUNTRACED, NULL) > 0) {
				record(j, i, status);
				changed = 1;
			}
		}
		if (changed && tell && !has_state(j, 'r'))
			show(j);
		/* Without anybody to tell, `wait PID` may still ask for the status. */
		if (tell && j->n && !has_state(j, 'r') && !has_state(j, 's'))
			free_job(j);
	}
}

void list_jobs(void)
{
	check_jobs(0);
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
		if (!j->number || !j->n)
			continue;
		show(j);
		if (!has_state(j, 'r') && !has_state(j, 's'))
			free_job(j);
	}
}

struct job *find_job(const char *spec)
{
	int number = newest;

	if (spec) {
		if (*spec == '%')
			spec++;
		if (isdigit(*spec))
			number = atoi(spec);
	}
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++)
		if (j->number && j->number == number)
			return j;
	return NULL;
}

/* Of a job in the background: quietly. */
static int wait_quietly(struct job *j)
{
	int status = 127;

	wait_processes(j);
	if (has_state(j, 's'))
		return 128 + SIGTSTP;
	if (j->n)
		status = exit_status(j->status[j->n - 1]);
	free_job(j);
	return status;
}

int wait_for_pid(int pid)
{
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++)
		for (int i = 0; j->number && i < j->n; i++)
			if (j->pid[i] == pid)
				return wait_quietly(j);
	return 127;
}

int wait_for_all(void)
{
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++)
		if (j->number && j->n)
			wait_quietly(j);
	return 0;
}
