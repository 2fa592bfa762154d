"""The packages' layers: imports go only downward, and each outside interface has one home."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

# From the front ends down to the ground floor. A module imports from its own package and from
# those after it. `wdbg.errors` and the package wdbg itself are below everything of wdbg.
LAYERS = (
    "wdbg.__main__",
    "wdbg.cli",
    "wdbg.tui",
    "wdbg.gdbstub",
    "wdbg.explore",
    "wdbg.debugger",
    "wdbg.analysis",
    "wdbg.dump",
    "wdbg.linux",
    "wdbg.runtime",
    "wdbg.instrument",
    "wdbg.trace",
    "wdbg.errors",
    "wdbg",
    "symbols",
)
RANK = {name: rank for rank, name in enumerate(LAYERS)}

# Outside packages that only one part of the tree may know.
HOMES = {
    "wasmtime": "wdbg.runtime",
    "textual": "wdbg.tui",
    "wdbg": "wdbg",  # symbols, the ground floor, stands on its own
}


@dataclass(frozen=True, slots=True)
class Import:
    """Module `importer` has, at `line` of `path`, an import of `imported`."""

    importer: str
    imported: str
    path: Path
    line: int

    def __str__(self) -> str:
        where = f"{self.path.relative_to(TREE)}:{self.line}"
        return f"{where}: {self.importer} imports {self.imported}"


def imports() -> Iterator[Import]:
    """All imports of the product's modules, those inside functions included."""
    for top in ("wdbg", "symbols"):
        for path in sorted((TREE / top).rglob("*.py")):
            parts = path.relative_to(TREE).with_suffix("").parts
            package = parts[:-1]
            module = ".".join(package if parts[-1] == "__init__" else parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
                for name in imported_names(node, package):
                    yield Import(module, name, path, node.lineno)


def imported_names(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    """Full dotted names that an import statement inside `package` may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        outer = package[: len(package) - node.level + 1] if node.level else ()
        base = ".".join((*outer, *([node.module] if node.module else [])))
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> str | None:
    """The most specific layer that holds a module of ours, None for modules of others."""
    return next((name for name in LAYERS if inside(module, name)), None)


def test_every_package_has_a_layer() -> None:
    names = {item.importer for item in imports()}
    strangers = sorted(name for name in names if layer(name) == "wdbg" and name != "wdbg")
    assert not strangers, f"add their packages to LAYERS: {strangers}"


def test_imports_go_downward() -> None:
    upward = [
        str(item)
        for item in imports()
        if (source := layer(item.importer)) is not None
        and (target := layer(item.imported)) is not None
        and RANK[target] < RANK[source]
    ]
    assert not upward, "\n".join(upward)


def test_outside_packages_have_one_home() -> None:
    strays = [
        str(item)
        for item in imports()
        for package, home in HOMES.items()
        if inside(item.imported, package) and not inside(item.importer, home)
    ]
    assert not strays, "\n".join(strays)


def test_private_bindings_are_used_in_one_module() -> None:
    users = {i.importer for i in imports() if any(p.startswith("_") for p in private_parts(i))}
    assert len(users) <= 1, f"private modules of wasmtime are used in {sorted(users)}"


def private_parts(item: Import) -> list[str]:
    return item.imported.split(".") if inside(item.imported, "wasmtime") else []


def test_the_scan_understands_relative_imports() -> None:
    node = ast.parse("from ..runtime import clock").body[0]
    assert imported_names(node, ("wdbg", "cli")) == ["wdbg.runtime.clock"]
    node = ast.parse("from . import x").body[0]
    assert imported_names(node, ("wdbg", "cli")) == ["wdbg.cli.x"]
