"""What stands under plugins/ is built as a stranger would build it, on public names alone."""

import ast
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

import bertpipe
from bertpipe import testing
from bertpipe.templates import KINDS

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/setup.cfg"))
CODE = sorted(
    file
    for folder in (*PLUGINS, *(ROOT / "bertpipe" / "templates" / kind for kind in KINDS))
    for file in folder.rglob("*.py")
)
PUBLIC = {"bertpipe": set(bertpipe.__all__), "bertpipe.testing": set(testing.__all__)}


def used(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield module and name for everything of bertpipe that a file uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(str(node.module)):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from ((name, "") for name in names if _is_ours(name) and name != "bertpipe")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "bertpipe":
            yield "bertpipe", node.attr


def _is_ours(module: str) -> bool:
    return module == "bertpipe" or module.startswith("bertpipe.")


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plug_in_uses_public_names_alone(path: Path):
    names = set(used(ast.parse(path.read_text(encoding="utf-8"))))
    assert {(module, name) for module, name in names if name not in PUBLIC.get(module, ())} == set()


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_a_plug_in_is_a_package_of_its_own(folder: Path):
    config = ConfigParser()
    config.read(folder / "setup.cfg")
    assert config["metadata"]["name"] == folder.name
    package = config["options"]["packages"]
    points = config["options.entry_points"]
    values = [
        line.partition("=")[2].strip()
        for group in points.values()
        for line in group.split("\n")
        if line
    ]
    assert all(value.startswith(package) for value in values)
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {folder.name}\n")
    assert len((folder / "pyproject.toml").read_text(encoding="utf-8").splitlines()) == 3
    if "spacy_factories" in points:
        assert (folder / package / "py.typed").is_file()
        assert list((folder / "tests").glob("test_*.py"))


def test_every_public_name_is_explained_to_authors():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    missing = [name for names in PUBLIC.values() for name in names if f"`{name}" not in page]
    assert not missing
