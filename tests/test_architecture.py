"""Who may import whom; see docs/architecture.md."""

import ast
import doctest
import importlib
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

import bigsharp

ROOT = Path(__file__).parents[1]
PACKAGE = Path(bigsharp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """The modules that a file imports; on its outermost level alone, or everywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def module(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_the_rules_of_the_house(path: Path) -> None:
    place = module(path)
    for name in imports(path):
        if place.startswith("image/"):
            assert within(name, "bigsharp.image") or not within(name, "bigsharp"), name
        if place.startswith(("restoration/", "engines/", "weights/", "io/", "scoring/")):
            forbidden = ("bigsharp.training", "bigsharp.benchmark", "bigsharp.cli", "bigsharp.api")
            assert not within(name, *forbidden), name
        if not place.startswith("cli/") and place != "__main__.py":
            assert not within(name, "typer", "bigsharp.cli"), name
        if not place.startswith("server/"):
            assert not within(name, "starlette", "uvicorn"), name
            assert place.startswith("cli/") or not within(name, "bigsharp.server"), name
        if not place.startswith(("studies/", "cli/")):
            assert not within(name, "bigsharp.studies"), name
        if name == "bigsharp._native" or name.startswith("bigsharp._native."):
            assert place == "kernels.py"
    if not place.startswith(("networks/", "training/")) and place != "engines/torch.py":
        for name in imports(path, everywhere=False):
            assert not within(name, "torch"), name


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
