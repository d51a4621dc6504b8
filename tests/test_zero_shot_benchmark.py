"""The measure of zero-shot classification counts what its methods get right."""

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.zero_shot import f1
from bertpipe.testing import tiny_model


def test_the_table_has_both_methods_and_says_what_is_missing(tmp_path):
    data = tmp_path / "topics.tsv"
    data.write_text(
        "A pizza.\tfood\nA long journey.\ttravel\nMore pizza.\tfood\n", encoding="utf-8"
    )
    encoder = str(tiny_model(tmp_path / "encoder", task="encoder", max_length=128))
    options = ["zero-shot", str(data), "--embedding", encoder, "--entailment", "no_such_model"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    head, _, _, _, embedding, entailment = result.output.splitlines()
    assert head == "3 texts, labels food, travel; the commonest has 0.667"
    assert embedding.split("|")[2].strip() in ("0.000", "0.333", "0.667", "1.000")
    assert "not measured: Model 'no_such_model' is neither" in entailment


def test_f1_of_a_label():
    assert f1(["a", "a", "b"], ["a", "b", "b"], "a") == pytest.approx(2 / 3)
    assert f1(["b"], ["b"], "a") == 0
