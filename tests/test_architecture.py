"""Who may import whom; see docs/architecture.md."""

import ast
import doctest
import importlib
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bigsharp

ROOT = Path(__file__).parents[1]
PACKAGE = Path(bigsharp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def nodes(tree: ast.AST, everywhere: bool) -> Iterator[ast.AST]:
    """What a module consists of: everything, or what runs when it is imported."""
    for node in ast.iter_child_nodes(tree):
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if everywhere or not (typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield node
            yield from nodes(node, everywhere)


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """The modules that a file imports, anywhere or when it is imported itself."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), everywhere):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "names are written out"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def module(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree() -> dict[str, int]:
    """In which line of the page's tree each module or package stands."""
    lines = PAGE.split("```")[1].split("src/bigsharp/\n")[1].splitlines()
    found = [re.match(r"  ((?:\w+(?:/|\.py)\s+)+)", line) for line in lines]
    return {
        name.removesuffix("/").removesuffix(".py"): number
        for number, match in enumerate(found)
        if match
        for name in match[1].split()
    }


def table() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Where the page lets each library be imported: by whole modules, and inside functions."""
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|$", PAGE, re.MULTILINE)[2:]
    return {
        library.strip(): (tuple(outside.split()), tuple(inside.split()))
        for libraries, outside, inside in rows
        for library in libraries.split(",")
    }


TREE, LIBRARIES = tree(), table()


def part(path: Path) -> str:
    """The module or package of the tree that a file belongs to."""
    return module(path).split("/")[0].removesuffix(".py")


def test_the_page_says_where_everything_stands() -> None:
    assert {part(path) for path in MODULES} - {"__init__", "__main__"} == set(TREE)
    assert {"PIL", "torch", "typer", "torchvision"} <= set(LIBRARIES)


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_a_module_imports_only_what_stands_above_it(path: Path) -> None:
    here = part(path)
    for name in {name.split(".")[1] for name in imports(path) if name.startswith("bigsharp.")}:
        if name == "_native":
            assert module(path) == "kernels.py"
        assert here != "image" or name == "image"
        if name in TREE and here in TREE:
            assert here == name or TREE[name] <= TREE[here], name
        if name in ("server", "studies"):
            assert here in ("cli", name), name


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_a_library_is_imported_only_where_the_page_says(path: Path) -> None:
    place = module(path)
    for everywhere in (False, True):
        for name in {name.split(".")[0] for name in imports(path, everywhere)}:
            if name in sys.stdlib_module_names or name in ("bigsharp", "numpy"):
                continue
            outside, inside = LIBRARIES[name]
            assert place.startswith((*outside, *inside) if everywhere else outside), name


@pytest.mark.parametrize(
    ("name", "libraries"),
    [
        ("bigsharp", set()),
        ("bigsharp.cli", {"typer"}),
        ("bigsharp.image.resize", {"numpy"}),
        ("bigsharp.classic", {"numpy"}),
        ("bigsharp.jobs.run", {"numpy", "PIL"}),
        ("bigsharp.benchmark.measure", {"numpy", "PIL"}),
    ],
)
def test_what_is_imported_with_a_module(name: str, libraries: set[str]) -> None:
    script = f"import sys, {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = {word.split(".")[0] for word in done.stdout.split()}
    assert name.split(".")[0] in loaded, done.stderr
    assert loaded & {*LIBRARIES, "numpy"} == libraries


def test_the_exported_names() -> None:
    assert bigsharp.__all__ == [
        "BigsharpError", "Saving", "Size", "Upscaler", "available_models", "load", "restore",
        "upscale",
    ]  # fmt: skip
    assert all(hasattr(bigsharp, name) for name in bigsharp.__all__)


def test_the_reference_of_the_command_line_is_what_it_prints() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(ROOT / "tools" / "reference.py"))["page"]()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if ">>> " in path.read_text(encoding="utf-8")], ids=module
)
def test_the_examples_in_docstrings(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_versions_agree() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {bigsharp.__version__}\n" in citation
