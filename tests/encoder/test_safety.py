"""A model folder runs no code and reads nothing outside; the way out is named."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ModelError
from bertpipe.testing import tiny_model
from bertpipe.training.base import resolve_base

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("made") / "model", task="ner")


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "model"))


def change(file, **settings):
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


@pytest.mark.parametrize("find", [resolve, resolve_base])
@pytest.mark.parametrize(
    ("file", "settings", "message"),
    [
        ("config.json", {"auto_map": {}}, r"auto_map in config\.json.* save it with a model class"),
        (
            "tokenizer_config.json",
            {"auto_map": ["tok.Tok", None]},
            r"auto_map in tokenizer_config\.json.* save its tokenizer",
        ),
        (
            "config.json",
            {"attn_implementation": "someone/attention"},
            r"code from the hub \(attn_implementation 'someone/attention'.* delete that line",
        ),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}, r"reads /etc/passwd, which lies"),
        ("tokenizer_config.json", {"tokenizer_file": "../x.json"}, r"reads /.*x\.json, which lies"),
    ],
)
def test_a_setting_that_leads_to_code_or_out_of_the_folder_is_refused(
    folder, find, file, settings, message
):
    change(folder / file, **settings)
    with pytest.raises(ModelError, match=message):
        find(str(folder))


def test_a_place_where_a_tokenizer_once_lay_is_no_harm(folder):
    change(
        folder / "tokenizer_config.json",
        special_tokens_map_file="/content/special_tokens_map.json",
        name_or_path="/content/model",
        tokenizer_file=None,
        vocab_file="vocab.txt",
    )
    assert resolve(str(folder)).path == folder


def test_an_adapter_of_another_model_is_refused(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')
    with pytest.raises(ModelError, match=r"is an adapter of another model; merge it"):
        resolve(str(folder))


@pytest.mark.parametrize(
    "target", ["../../etc/x.safetensors", "/etc/x.safetensors", "../other/model.safetensors"]
)
def test_an_index_that_names_weights_outside_is_refused(folder, target):
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": target}}))
    with pytest.raises(ModelError, match=r"which lies outside .*model; copy that file into"):
        resolve(str(folder))


@pytest.mark.parametrize("weight_map", [[], {"a": 1}, {"a": ["x.safetensors"]}, {"a": "x.bin"}])
def test_an_index_that_is_none_is_refused(folder, weight_map):
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weight_map that names other files than \*\.safetensors"):
        resolve(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "1_Pooling"])
def test_a_link_out_of_the_folder_is_refused(folder, tmp_path, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / name).mkdir(parents=True)
    with pytest.raises(ModelError, match=rf"reads .*/elsewhere/{name}, which lies outside|no safe"):
        resolve(str(folder))


def test_a_folder_that_is_a_link_is_the_folder_it_leads_to(folder, tmp_path):
    (tmp_path / "name").symlink_to(folder)
    assert resolve(str(tmp_path / "name")).path == folder


def test_a_model_in_a_package_shares_weights_with_its_neighbours_only(folder, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    model = Path(shutil.copytree(folder, package / "model"))
    (package / "shared").mkdir()
    (model / "model.safetensors").rename(package / "shared/a.safetensors")
    index = model / INDEX
    index.write_text(json.dumps({"weight_map": {"a": "../shared/a.safetensors"}}))
    assert resolve(str(model)).path == model
    index.write_text(json.dumps({"weight_map": {"a": "../../shared/a.safetensors"}}))
    with pytest.raises(ModelError, match="lies outside"):
        resolve(str(model))


def test_a_model_of_the_hub_reads_through_links_in_its_own_place_only(folder, tmp_path, hub_cache):
    blobs, snapshot = hub_cache("someone/model")
    for file in folder.iterdir():
        (blobs / file.name).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    found = resolve("someone/model", offline=True)
    assert (found.path, found.origin) == (snapshot, f"hub {snapshot.name}")
    (snapshot / "vocab.txt").unlink(missing_ok=True)
    (snapshot / "vocab.txt").symlink_to(tmp_path)
    with pytest.raises(ModelError, match="lies outside"):
        resolve("someone/model", offline=True)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(name):
        place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        commit = "0123456789abcdef0123456789abcdef01234567"
        blobs, snapshot = place / "blobs", place / "snapshots" / commit
        for made in (blobs, snapshot, place / "refs"):
            made.mkdir(parents=True)
        (place / "refs/main").write_text(commit)
        return blobs, snapshot

    return make


@pytest.mark.parametrize(
    "name", ["/no/folder", "./a/b", "../a", "s3://bucket/model", "https://me:pw@host/m", "a/b/c"]
)
def test_what_is_no_hub_id_is_never_looked_for_there(name):
    with pytest.raises(ModelError, match="is neither a folder nor an installed") as caught:
        resolve(name)
    assert "pw" not in str(caught.value)


CODE = """
import sys
from pathlib import Path

used = set()
sys.addaudithook(lambda event, values: used.add(event) if event.startswith("socket.") else None)
from bertpipe.encoder.load import load
from bertpipe.encoder.resolve import resolve

folder = resolve(sys.argv[1]).path
load(folder, auto_class="AutoModelForTokenClassification", states="tokens", device="cpu",
     precision="fp32")
assert not used & {"socket.connect", "socket.getaddrinfo", "socket.sendto"}, used
"""


def test_a_folder_is_opened_without_a_network(folder, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


ROOT = Path(__file__).parents[2]
SAFE = {
    "from_pretrained": {"trust_remote_code": "False", "local_files_only": "True"},
    "load": {"weights_only": "True"},
}


def _openings():
    """Yield each call in our code that opens a model or a pickle, with its settings."""
    for path in sorted([*ROOT.glob("bertpipe/**/*.py"), *ROOT.glob("plugins/*/bertpipe_*/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, name = ast.unparse(node.func.value), node.func.attr
                if name == "from_pretrained" or (owner, name) == ("torch", "load"):
                    given = {each.arg: ast.unparse(each.value) for each in node.keywords}
                    yield path, node.lineno, name, given


def test_nothing_is_opened_with_code_pickles_or_a_network():
    found = list(_openings())
    assert len(found) > 5
    assert [each for each in found if not SAFE[each[2]].items() <= each[3].items()] == []
