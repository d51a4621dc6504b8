"""The order of the package: imports point only up the list, and only to what is declared."""

import ast
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bertpipe"

# A module imports itself and those above it. `bertpipe` itself is the version and lazy names.
ORDER = (
    "masking",
    "errors",
    "processes",
    "records",
    "annotator",
    "tolerance",
    "settings",
    "config",
    "clock",
    "lanes",
    "messages",
    "upstream",
    "docs",
    "corpus",
    "batching",
    "encoder",
    "annotators",
    "output",
    "report",
    "counts",
    "patience",
    "steps",
    "stages",
    "worker",
    "worker_process",
    "pool",
    "dispatch",
    "rewrite",
    "retry",
    "job",
    "recall",
    "plan",
    "stopping",
    "loop",
    "engine",
    "bench",
    "api",
    "restore",
    "docbin",
    "components",
    "check",
    "training",
    "view",
    "evaluation",
    "testing",
    "templates",
    "cli",
    "__main__",
)
# What stands in a template is copied, not imported.
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py" and path.parent.parent.parent.name != "templates"
)
# The distribution that brings a module, where the names differ.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "huggingface_hub": "huggingface-hub"}


def imports(path: Path) -> Iterator[str]:
    """Yield the full names a file imports anywhere, but for what only type checkers read."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")))


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def part_of(name: str) -> str:
    """Return the entry of ORDER that a full name `bertpipe.PART...` belongs to."""
    return name.split(".")[1]


def level(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_only_up_the_list(path: Path):
    above = ORDER[: ORDER.index(level(path)) + 1]
    own = [name for name in imports(path) if name.split(".")[0] == "bertpipe"]
    down = [name for name in own if part_of(name) not in (*above, "__version__")]
    assert not down, f"{level(path)} imports {down}, which stand below it in ORDER"


def test_every_module_has_its_place_in_the_order():
    assert {level(path) for path in MODULES} <= set(ORDER)


def test_every_import_is_of_a_declared_dependency():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    lines = (config["options"]["install_requires"] + extras["train"] + extras["openvino"]).split()
    declared = {re.split(r"[<>=]", line)[0] for line in lines}
    found = {name.split(".")[0] for path in MODULES for name in imports(path)}
    foreign = found - set(sys.stdlib_module_names) - {"bertpipe"}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= declared
