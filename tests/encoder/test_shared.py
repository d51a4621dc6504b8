"""What encoders have in common is computed once, and kept no longer than it is needed."""

from types import SimpleNamespace
from typing import Any

import torch

from bertpipe.encoder.base import Encoder, SharedRun, Stage, digest


def test_only_the_states_at_which_encoders_part_are_kept():
    seen = []

    def stage(key):
        def run(hidden, inputs):
            seen.append(key)
            return torch.tensor([len(key)]) if hidden is None else hidden + len(key)

        return Stage(key, run, n_layers=1)

    def encoder(keys):
        return Encoder(tuple(map(stage, keys)), "cpu", "fp32", "packed")

    run = SharedRun(
        [encoder("abcd"), encoder("abce"), encoder("abcd"), encoder("af"), encoder("g")]
    )
    inputs: Any = SimpleNamespace(ids=torch.zeros(1))
    found = [int(hidden) for hidden in run(inputs)]
    assert found == [4, 4, 4, 2, 1]
    assert sorted(seen) == list("abcdefg")
    assert run.n_shared == [0, 3, 4, 1, 0]
    assert run._wanted_again == {tuple("abc"), tuple("abcd"), ("a",), ()}


def test_a_module_with_a_lone_number_has_a_digest():
    assert digest(torch.nn.BatchNorm1d(2)) == digest(torch.nn.BatchNorm1d(2))
