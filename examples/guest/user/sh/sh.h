/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A shell without fork(): a part that needs a process of its own, such as one
 * side of a pipe, is either a program, which is spawned, or shell text, which
 * a new shell runs that inherits our variables and functions (subshell.c).
 */
#ifndef WDBG_SH_H
#define WDBG_SH_H

#include "box.h"

/* ---- syntax (parse.c) */

enum node_kind {
	NODE_SIMPLE,		/* assigns, words, redirs */
	NODE_PIPE,		/* first: list of commands by next */
	NODE_NOT,		/* first */
	NODE_AND, NODE_OR,	/* first, second */
	NODE_SEQ,		/* first, second */
	NODE_BACKGROUND,	/* first */
	NODE_GROUP,		/* { first; } redirs */
	NODE_SUBSHELL,		/* ( first ) redirs; name: the text in the brackets */
	NODE_IF,		/* if first; then second; else third; fi */
	NODE_WHILE, NODE_UNTIL,	/* first, second */
	NODE_FOR,		/* for name in words; do second; done */
	NODE_CASE,		/* case name in cases esac: name is the word */
	NODE_FUNCTION,		/* name, body as text in name2 */
};

struct word {
	struct word *next;
	char *text;		/* as written, with quotes and dollars */
};

enum redir_kind { REDIR_IN, REDIR_OUT, REDIR_APPEND, REDIR_READ_WRITE, REDIR_DUP, REDIR_HERE };

struct redir {
	struct redir *next, *next_here;
	enum redir_kind kind;
	int fd;
	char *target;		/* a word; REDIR_HERE: the text; REDIR_DUP: fd number or "-" */
	int literal;		/* REDIR_HERE: the delimiter was quoted */
};

struct case_item {
	struct case_item *next;
	struct word *patterns;
	struct node *body;	/* NULL: nothing to do */
};

struct node {
	enum node_kind kind;
	struct node *next, *first, *second, *third;
	struct word *assigns, *words;
	struct redir *redirs;
	struct case_item *cases;
	char *name, *name2;
	const char *source;	/* its text in the parser's input */
	size_t source_len;
};

enum parse_result { PARSE_OK, PARSE_END, PARSE_INCOMPLETE, PARSE_ERROR };

struct parser {
	const char *text;
	size_t at, len;
	struct arena *arena;
	enum parse_result result;
	char message[80];
	/* private to parse.c */
	int token;
	char *token_text;
	size_t token_start, token_end, previous_end;
	struct redir *pending_here;
	int depth;
};

/*
 * Parse one complete line of commands (to the line's end) starting at p->at,
 * which moves on.  NULL with p->result set at the end of the text, when it
 * stops in the middle of something, or on an error (p->message).
 */
struct node *parse_line(struct parser *p);

/* Length of the $(...), ${...}, $((...)), `...` or quoted string at s; 0: no end. */
size_t skip_substitution(const char *s, const char *end);

/* ---- variables and functions (vars.c) */

struct variable {
	struct variable *next;
	char *name, *value;
	int exported;
};

struct function {
	struct function *next;
	char *name, *text;
	struct arena arena;
	struct node *body;
};

const char *get_variable(const char *name);		/* NULL: not set */
void set_variable(const char *name, const char *value);
void export_variable(const char *name);
void unset_variable(const char *name);
int is_name(const char *s, size_t n);
size_t name_length(const char *s);			/* of the longest name at s */
struct variable *all_variables(void);
void import_environment(void);				/* and what subshells get */
void define_function(const char *name, const char *text);
struct function *find_function(const char *name);
struct function *all_functions(void);

/* `overrides`: NAME=value strings for this command alone. */
char **make_environment(struct arena *a, char **overrides, int subshell);

/* ---- expansion (expand.c, arith.c, match.c) */

struct fields {
	struct arena *arena;
	char **v;		/* NULL-terminated once anything was added */
	int n, size;
};

void add_field(struct fields *f, char *s);
void expand_words(struct word *w, struct fields *out);
char *expand_string(const char *word, struct arena *a);	/* one field, no globbing */
char *expand_pattern(const char *word, struct arena *a);/* the same, for match() */
char *expand_here(const char *text, struct arena *a);	/* a here-document's text */
int is_plain(const char *word);				/* nothing to expand */
int64_t arithmetic(const char *expression);		/* sets sh.failed on errors */
int match(const char *pattern, const char *s);		/* 1: the whole of s matches */
int has_magic(const char *pattern);
char *unescape(char *pattern);				/* in place */
int glob(const char *pattern, struct fields *out);	/* number of paths added */

/* ---- execution (exec.c, simple.c, pipeline.c, redirect.c, subshell.c) */

enum flow { FLOW_NONE, FLOW_BREAK, FLOW_CONTINUE, FLOW_RETURN };

int run_node(struct node *n);				/* exit status */
int run_text(const char *text, size_t len);		/* eval, -c, functions in scripts */
int run_input(int fd);					/* lines from a terminal or pipe */
int run_file(const char *path);				/* -1 and errno: cannot be read */
void check_errexit(int status);

int run_simple(struct node *n);
int run_pipe(struct node *n);
int run_subshell(struct node *n);
int run_background(struct node *n);
void expand_assigns(struct word *w, struct fields *out);	/* "NAME=value" strings */
/*
 * Start a program with n_actions actions and those of its redirections, for which
 * `actions` has room up to MAX_ACTIONS; its id, -1 after a message.
 */
int spawn_program(char **argv, struct fields *assigns, struct redir *redirs,
		  struct fd_action *actions, int n_actions, struct spawn *how, struct arena *a);
/* Pipes of here-documents are opened in the shell for the child. */
void close_here_pipes(struct redir *r, struct fd_action *actions);

struct saved_fds {
	int n;
	struct { int fd, copy; } fd[10];		/* copy -1: was closed */
};
int redirect(struct redir *r, struct saved_fds *saved);	/* in the shell itself */
void restore_fds(struct saved_fds *saved);
/* For a child; room for `max` actions and the end mark; -1 after a message. */
int redirect_actions(struct redir *r, struct fd_action *out, int max, struct arena *a);
#define MAX_ACTIONS 24

/* Start a shell that runs `text` with our state. */
int spawn_subshell(const char *text, size_t len, struct spawn *how);
char *command_output(const char *text, size_t len, struct arena *a);

/* ---- jobs (jobs.c) */

#define MAX_PIPE	16
#define MAX_JOBS	32

struct job {
	int number;		/* 0: free */
	int group;
	int n;			/* processes */
	int pid[MAX_PIPE];
	int status[MAX_PIPE];
	char state[MAX_PIPE];	/* 'r'unning, 's'topped, 'd'one */
	char *text;
};

struct job *new_job(const char *text, size_t len);
void free_job(struct job *j);
int wait_job(struct job *j);		/* foreground: its status; frees it unless it stopped */
void add_process(struct job *j, int pid);
/* Flags and group for the next process of the job. */
void job_spawn(struct job *j, int foreground, struct spawn *how);
int resume_job(struct job *j, int foreground);
int wait_for_pid(int pid);		/* the wait builtin; 127: not a child */
int wait_for_all(void);
void check_jobs(int tell);		/* collect the dead; tell about changes */
void list_jobs(void);
struct job *find_job(const char *spec);	/* "%1", "%%" or NULL: the newest */
int exit_status(int status);		/* wait status -> $? */

/* ---- builtins (builtin.c, test.c) */

typedef int (*builtin)(int argc, char **argv);
builtin find_builtin(const char *name);
int test_main(int argc, char **argv);

/* ---- state */

struct shell {
	int status;		/* $? */
	int pid;		/* $$ */
	int background_pid;	/* $!, 0: none */
	int argc;		/* positional parameters: argv[1] .. argv[argc] */
	char **argv;		/* argv[0]: $0 */
	int interactive;	/* prompts, survives errors */
	int job_control;	/* process groups and the terminal `tty` */
	int tty;
	int group;
	int errexit, xtrace;	/* set -e, -x */
	int checked;		/* > 0: in a condition, errexit does not apply */
	int failed;		/* an expansion failed: the command is not run */
	int substituted;	/* status of the last command substitution */
	enum flow flow;
	int flow_count;		/* loops to leave */
	int loops;		/* nesting */
	int depth;		/* of functions, evals and sources */
	volatile int interrupted;	/* Ctrl-C: back to the prompt */
};
extern struct shell sh;

#endif
