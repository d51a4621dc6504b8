"""The parent and its workers, when they do not end together."""

import json

from bertpipe import api


def test_a_worker_that_finishes_long_before_another_is_not_taken_for_dead(tmp_path, regex_plugin):
    file = tmp_path / "corpus.jsonl"
    record = json.dumps({"text": "1 " + "x" * 20_000})
    file.write_text(f"{record}\n" * 3)
    report = api.run(
        file,
        output=tmp_path / "out",
        components=[f"numbers={regex_plugin}"],
        workers=2,
        overrides={"components.numbers.seconds": 1.5},
    )
    assert (report.n_rows, report.n_workers) == (3, 2)
