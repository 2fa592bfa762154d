"""What happened to a guest that crashed: cause, place, tasks, memory, as one report."""
