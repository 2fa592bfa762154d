"""The linked kernel itself: marked accesses are atomic instructions (DESIGN D7)."""

from __future__ import annotations

import pytest

from symbols.wasm import Module
from symbols.wasm.decode import instructions
from symbols.wasm.readers import read_locals

pytestmark = pytest.mark.guest


@pytest.fixture(name="kernel", scope="module")
def kernel_fixture(guest_kernel) -> Module:
    return Module(guest_kernel.read_bytes())


def code_of(module: Module, name: str):
    """Instructions of the function of that name."""
    index = next(i for i, known in module.names.functions.items() if known == name)
    _, start, end = module.bodies[index - module.function_imports]
    _, code = read_locals(module.data, start, end)
    return list(instructions(module.data, code, end))


def loads_in_loops(module: Module, name: str) -> set[str]:
    """Names of the load instructions that lie inside a loop of the function."""
    found, blocks = set(), []
    for instruction in code_of(module, name):
        text = instruction.opcode.name
        if text in ("block", "loop", "if", "try_table"):
            blocks.append(text)
        elif text == "end" and blocks:
            blocks.pop()
        elif ".load" in text and "loop" in blocks:
            found.add(text)
    return found


@pytest.mark.parametrize("name", ["multi_cpu_stop", "smp_call_function_many_cond"])
def test_a_read_once_spin_loop_holds_an_atomic_load(kernel, name):
    """The loop over READ_ONCE(msdata->state), and csd_lock_wait()."""
    assert any(".atomic." in load for load in loads_in_loops(kernel, name))


def test_a_release_is_an_atomic_store_and_an_exchange_an_atomic_operation(kernel):
    names = {i.opcode.name for i in code_of(kernel, "_raw_spin_unlock")}
    assert any(".atomic.store" in name or ".atomic.rmw" in name for name in names)
    names = {i.opcode.name for i in code_of(kernel, "_raw_spin_lock")}
    assert any(".atomic.rmw" in name for name in names)


def test_no_atomic_helper_of_the_compiler_is_called(kernel):
    """A misaligned or oversized atomic would become a call of __atomic_*: none is there."""
    names = set(kernel.names.functions.values())
    assert not {name for name in names if name.startswith("__atomic_")}
