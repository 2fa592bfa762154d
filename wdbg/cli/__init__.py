"""The command line: one module a verb; each parses its arguments, calls one function, renders."""
