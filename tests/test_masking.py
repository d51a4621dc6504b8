"""Secrets and control characters reach no message."""

import json

import pytest
from click.testing import CliRunner

from bertpipe import api
from bertpipe.cli import main
from bertpipe.errors import BertpipeError, StoppedError
from bertpipe.masking import hide_secrets, without_secrets
from bertpipe.output.inventory import parts

URIS = {
    "s3://me:pass-1@host/x": "s3://***@host/x",
    "https://pass-1@host:80/x?y=1": "https://***@host:80/x?y=1",
    "https://host/x?token=pass-1": "https://host/x?token=***",
    "https://host/x?a=1&sig=pass-1&b=2": "https://host/x?a=1&sig=***&b=2",
    "az://c/x?sv=1&Sig=pass%2D1": "az://c/x?sv=1&Sig=***",
    "https://h/x?X-Amz-Signature=pass-1&X-Amz-Credential=pass-1": (
        "https://h/x?X-Amz-Signature=***&X-Amz-Credential=***"
    ),
    "https://h/x?access_token=pass-1#a": "https://h/x?access_token=***#a",
    "https://h/x?api_key=pass-1": "https://h/x?api_key=***",
}


@pytest.mark.parametrize(("uri", "expected"), URIS.items())
def test_a_uri_loses_its_secret_and_nothing_else(uri, expected):
    assert hide_secrets(f"cannot read '{uri}'; see {uri} there") == (
        f"cannot read '{expected}'; see {expected} there"
    )
    assert str(BertpipeError(uri)) == expected
    assert without_secrets({"a": [uri, 1], "b": (None, {"c": uri})}) == {
        "a": [expected, 1],
        "b": [None, {"c": expected}],
    }


@pytest.mark.parametrize("text", ["a@b.de", "x?y=1", "http://host/a@b", "who? key = 1", "me: a@b"])
def test_what_holds_no_secret_stays(text):
    assert hide_secrets(text) == text


def test_a_message_is_one_line_that_moves_no_cursor():
    message = "a\r\nb\x1b[2Jc\x9bd\u2028e\x7f\n"
    assert str(BertpipeError(message)) == "a b [2Jc d e"
    assert str(StoppedError(15, message)) == "a b [2Jc d e"


@pytest.mark.usefixtures("regex_plugin")
def test_no_secret_of_a_setting_is_written_anywhere(tmp_path):
    (tmp_path / "a.txt").write_text("one 1")
    uri = "https://me:pass-1@host/?sig=pass-1"
    report = api.run(
        tmp_path / "a.txt",
        output=tmp_path / "out",
        components=["numbers=regex_numbers"],
        overrides={"components.numbers.pattern": f"1|{uri}"},
        workers=0,
    )
    metadata = [part.metadata for _, part in parts(tmp_path / "out") if part]
    assert "https://***@host/?sig=***" in json.dumps(metadata)
    assert "pass-1" not in json.dumps(report.to_dict())
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"pass-1" not in path.read_bytes(), path


def test_no_secret_is_printed(tmp_path):
    for arguments in (
        ["run", "s3://me:pass-1@host/x", "--components", "ner"],
        ["run", str(tmp_path), "--components", "ner", "--components.ner.model", "hf://a:pass-1@h"],
        ["convert", "https://host/m?token=pass-1", str(tmp_path / "new")],
        ["status", "s3://me:pass-1@host/x"],
    ):
        (tmp_path / "a.txt").touch()
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "***" in result.output
        assert "Traceback" not in result.output
        assert "pass-1" not in result.output
