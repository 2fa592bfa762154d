"""A guest's state as a file: memory, tasks with their frames, CPUs; formats of other tools."""
