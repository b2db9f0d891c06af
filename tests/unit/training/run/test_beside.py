"""Work beside the encoders: when it begins, whose cores it takes, and how it ends."""

import threading
from collections.abc import Iterator

import pytest
import torch

from portrait.training.run.beside import open_beside


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_work_begins_with_the_first_step_and_has_a_core_until_it_ends() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(number: int) -> tuple[int, int]:
        begun.set()
        assert may_end.wait(10)
        return number, torch.get_num_threads()

    with open_beside() as beside:
        found = beside.plan(work, 7)
        assert not begun.wait(0.05)
        beside.share_cores()
        assert begun.wait(10)
        assert torch.get_num_threads() == 3
        may_end.set()
        assert found.result(10) == (7, 1)
        beside.share_cores()
        assert torch.get_num_threads() == 4


def test_work_is_done_in_order_and_an_error_is_raised_where_the_result_is_asked_for() -> None:
    done: list[str] = []
    with open_beside() as beside:
        first, failing, last = (
            beside.plan(done.append, "a"),
            beside.plan(int, "no number"),
            beside.plan(done.append, "b"),
        )
        beside.share_cores()
        assert last.result(10) is None
        assert first.done()
        with pytest.raises(ValueError, match="no number"):
            failing.result(10)
    assert done == ["a", "b"]


def test_work_that_has_not_begun_at_the_end_never_does() -> None:
    done: list[str] = []
    with open_beside() as beside:
        planned = beside.plan(done.append, "a")
    assert planned.cancelled()
    assert not done
    assert torch.get_num_threads() == 4
