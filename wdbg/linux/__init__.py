"""What we know of the kernel: one module a kernel header or subject, pure functions over (memory,
symbols). A corrupted guest structure is a result, not a crash: every walk is bounded.
"""
