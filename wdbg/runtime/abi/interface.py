"""The names of the linux-wasm host interface (docs/host-interface.md)."""

from __future__ import annotations

IMPORTS = frozenset(
    {
        "wasm_start_cpu", "wasm_stop_cpu", "wasm_create_and_run_task", "wasm_release_task",
        "wasm_serialize_tasks", "wasm_panic", "wasm_dump_stacktrace", "wasm_load_executable",
        "wasm_user_mode_tail", "wasm_cpu_clock_get_monotonic", "wasm_driver_hvc_put",
        "wasm_driver_hvc_get",
    }
)  # fmt: skip
"""Functions that upstream's kernel imports from "env"."""

OUR_IMPORTS = frozenset(
    {
        "wasm_timer_program", "wasm_machine_stop", "wasm_stack_save", "wasm_dump_task",
        "wasm_console_winsize", "wasm_cpu_yield",
    }
)  # fmt: skip
"""What our guest imports besides."""

NEEDED_EXPORTS = frozenset(
    {
        "_start", "_start_secondary", "ret_from_fork", "init_task", "boot_command_line",
        "initrd_start", "initrd_end",
    }
)  # fmt: skip
"""Without these no boot is possible."""

OUR_EXPORTS = frozenset({"wasm_cpu_irq", "wasm_irq_entry", "wasm_user_irq", "wasm_trap_code"})
"""What our guest exports besides: interrupts at ticks, kinds of traps."""
