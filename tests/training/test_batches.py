from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bertpipe.training.batches import Portion, TaskBatches, collate, draw, group, padded, plan
from bertpipe.training.features import Feature

LENGTHS = st.lists(st.integers(1, 60), max_size=80)


@given(LENGTHS, st.integers(1, 200))
def test_a_plan_holds_every_window_once_within_the_budget(lengths, budget):
    batches = plan(lengths, budget=budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        tokens = len(batch) * max(lengths[i] for i in batch)
        assert tokens <= budget or len(batch) == 1


@given(st.integers(1, 50), st.floats(0.1, 3.5))
def test_passes_are_whole_readings_and_a_share_of_one(size, passes):
    drawn = draw(size, passes=passes, random=Random(1))
    counts = [drawn.count(i) for i in range(size)]
    assert min(counts) >= int(passes)
    assert max(counts) <= int(passes) + 1
    assert abs(len(drawn) - passes * size) <= 0.5


def features(*lengths):
    return [Feature([1] * n, [0] * n, 0, i) for i, n in enumerate(lengths)]


@given(LENGTHS, st.integers(1, 40))
def test_a_grouping_holds_every_window_once_in_batches_of_equal_size(lengths, size):
    batches = group(lengths, size=size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    sizes = {len(batch) for batch in batches}
    assert max(sizes, default=0) <= size
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    order = [lengths[i] for batch in batches for i in batch]
    assert order == sorted(order)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_the_pieces_of_a_batch_are_the_batch(lengths, budget):
    windows = features(*lengths)
    batch = collate([("a", window) for window in windows], pad_id=0, budget=budget)
    assert batch["task"] == "a"
    shapes = [piece["input_ids"].shape for piece in batch["pieces"]]
    assert sum(rows for rows, _ in shapes) == len(lengths)
    assert all(rows * width <= budget or rows == 1 for rows, width in shapes)
    assert sum(int(piece["attention_mask"].sum()) for piece in batch["pieces"]) == sum(lengths)


def sampler(seed=1, size=None):
    tasks = {"a": [Portion(features(3, 4, 5, 6, 7))], "b": [Portion(features(9, 9), passes=2.0)]}
    return TaskBatches(tasks, size=size, budget=20, seed=seed, epochs=2)


def test_a_batch_has_at_most_as_many_windows_as_asked():
    assert max(map(len, sampler(size=2))) == 2


def test_a_batch_is_of_one_task_and_all_windows_come():
    batches = list(sampler())
    assert len(batches) == len(sampler())
    assert all(len({task for task, _, _ in batch}) == 1 for batch in batches)
    flat = [(task, window) for batch in batches for task, window, _ in batch]
    assert {item for item in flat if item[0] == "a"} == {("a", i) for i in range(5)}
    assert flat.count(("b", 0)) >= 2


def test_batches_are_a_function_of_seed_and_epoch():
    assert list(sampler()) == list(sampler())
    later = sampler()
    later.set_epoch(1)
    assert list(later) != list(sampler())
    assert list(sampler(seed=2)) != list(sampler())


def test_rows_are_filled_up():
    assert padded([[1, 2], [3]], -100).tolist() == [[1, 2], [3, -100]]
