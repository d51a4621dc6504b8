"""What the package promises before any of its parts is used."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions, entry_points
from pathlib import Path
from sysconfig import get_path

import pytest

import bertpipe

ROOT = Path(__file__).parents[1]
PUBLIC_NAMES = [
    "Annotator",
    "BertAnnotator",
    "BertpipeError",
    "CLASSIFICATION_TYPE",
    "CLASSIFIED_SPANS_TYPE",
    "ConfigError",
    "DocumentError",
    "ENCODER",
    "EncoderSettings",
    "Head",
    "LoadedModel",
    "ModelError",
    "NER_TYPE",
    "QA_TYPE",
    "Request",
    "UsageError",
    "Windowed",
    "__version__",
    "annotate",
    "check_choice",
    "check_range",
    "docs",
    "encoder_settings",
    "list_of",
    "pair_request",
    "pool_windows",
    "run",
    "sentence_reads",
    "sentence_request",
    "span_lists",
    "text_request",
    "to_classes",
    "to_docs",
]


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_public_names_are_these():
    assert sorted(bertpipe.__all__) == dir(bertpipe) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_can_be_used(name: str):
    assert getattr(bertpipe, name) is not None


def test_no_public_name_is_that_of_a_module_which_an_import_would_put_in_its_place():
    modules = {path.stem for path in (ROOT / "bertpipe").iterdir()} - {"docs"}
    assert not modules & set(PUBLIC_NAMES)


def test_a_name_that_is_not_public_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'anotate'"):
        _ = bertpipe.anotate


def test_importing_bertpipe_takes_under_200_ms():
    code = "import time; t = time.perf_counter(); import bertpipe; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.2


def test_importing_bertpipe_loads_no_heavy_library():
    code = "import bertpipe, sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(python(code).split())
    assert not loaded & {"torch", "spacy", "transformers", "pyarrow", "numpy"}


def test_the_changelog_ends_at_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(.+?)\]", text, flags=re.MULTILINE)[0]
    assert newest in ("Unreleased", bertpipe.__version__)


@pytest.mark.parametrize("group", ["console_scripts", "spacy_factories"])
def test_every_entry_point_can_be_loaded(group: str):
    ours = [point for point in entry_points(group=group) if point.value.startswith("bertpipe.")]
    assert ours
    for point in ours:
        assert callable(point.load())


def test_a_wheel_has_every_file_of_the_package(tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "bertpipe", source / "bertpipe", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("bertpipe/")}
    files = (path for path in (source / "bertpipe").rglob("*") if path.is_file())
    assert packed == {path.relative_to(source).as_posix() for path in files}


@pytest.mark.skipif(Path(sys.prefix).name != ".venv", reason="not in the .venv of scripts/install")
def test_constraints_pin_all_that_is_installed():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normal(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    # The environment's folder alone: setuptools, once imported, adds the packages that it carries.
    installed = {
        normal(d.name): d.version.split("+")[0] for d in distributions(path=[get_path("purelib")])
    }
    foreign = {name for name in installed if not name.startswith(("bertpipe", "pip"))}
    assert {name: pinned.get(name) for name in foreign} == {n: installed[n] for n in foreign}


def normal(name: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
