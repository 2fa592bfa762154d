"""The deterministic, single-threaded runtime: guest tasks as fibers over one shared memory."""
