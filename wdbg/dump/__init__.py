"""A guest's state as a file: memory, tasks with their frames, CPUs, devices; and formats of other tools."""
