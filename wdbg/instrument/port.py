"""What the rewriter has to know about a kernel port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """Facts that an ABI supplies. Names that a kernel does not have are no error: the feature is
    then off (no injected interrupts, no clock in wasm, no signal delivery)."""

    name: str
    clock_import: str | None = None
    """Imported function () -> i64 that is answered in wasm: CLOCK_END - tick * NS_PER_TICK."""
    user_tail_import: str | None = None
    """Imported function (i32 flow) -> () that runs signal handlers and unwinds."""
    irq_entry: str | None = None
    """Export () -> (): an interrupt at a tick of kernel code; checks for itself if it may."""
    user_irq_entry: str | None = None
    """Export (i32 user stack pointer) -> (): the same at a tick of user code."""
    user_stack_pointer: str | None = None
    user_tls_base: str | None = None
    """Exports () -> i32, called before the user-mode tail parks."""
    stack_pointer: str = "__stack_pointer"
    """Name of the stack pointer, looked for in exports and then in the name section."""
    guess_stack_pointer: bool = True
    """Take global 0 if it is a mutable i32 and the name is found nowhere."""
    uninjected: frozenset[str] = frozenset()
    """Functions whose ticks never take an interrupt: they run before a stack or the current task
    is set up, or in the interrupt entry before it has disabled interrupts."""

    @property
    def key(self) -> str:
        """Identifies the facts in cache keys."""
        values = [
            self.name,
            self.clock_import,
            self.user_tail_import,
            self.irq_entry,
            self.user_irq_entry,
            self.user_stack_pointer,
            self.user_tls_base,
            self.stack_pointer,
            self.guess_stack_pointer,
            sorted(self.uninjected),
        ]
        return repr(values)
