"""An answer with the models, or else without: which, and when."""

import asyncio
from collections.abc import Callable

import pytest

from benchmarks.common.virtual_time import run
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import DeadlineExceeded, InferenceFailed, NotFound, Overloaded, PortraitError, Unavailable
from portrait.server.inference.fallback import Cause, Fallback


def answer(
    full: Callable[[float | None], object], spare: str | None, deadline: float | None
) -> tuple[str, float, Fallback]:
    """Run a call; returns its outcome and when it came."""

    async def scenario() -> tuple[str, float, Fallback]:
        fallback = Fallback()

        async def ask(latest: float | None) -> str:
            said = full(latest)
            if isinstance(said, Exception):
                raise said
            await asyncio.sleep(float(str(said)))
            return "full"

        said = await fallback.answer(ask, lambda: spare, deadline)
        return said, asyncio.get_running_loop().time(), fallback

    return run(scenario())


def test_the_full_answer_comes_where_it_can() -> None:
    said, at, fallback = answer(lambda _: 0.5, "spare", 1.0)
    assert (said, at, fallback.answers.total()) == ("full", 0.5, 0)
    assert answer(lambda _: 100.0, "spare", None)[0] == "full"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Unavailable("", 1.0, ErrorReason.MODELS_UNAVAILABLE), Cause.UNAVAILABLE),
        (Overloaded("", 1.0, ErrorReason.MODELS_BUSY), Cause.OVERLOADED),
        (DeadlineExceeded(""), Cause.LATE),
    ],
)
def test_the_spare_one_comes_at_once_where_the_models_fail(error: PortraitError, cause: Cause) -> None:
    said, at, fallback = answer(lambda _: error, "spare", 1.0)
    assert (said, at, fallback.answers) == ("spare", 0.0, {cause: 1})


@pytest.mark.parametrize("deadline", [0.02, 0.5, 5.0])
def test_the_spare_one_comes_before_the_deadline_where_the_models_are_late(deadline: float) -> None:
    said, at, fallback = answer(lambda _: 1000.0, "spare", deadline)
    assert said == "spare"
    assert 0.7 * deadline <= at < deadline
    assert fallback.answers == {Cause.LATE: 1}


def test_the_models_are_told_of_the_earlier_deadline() -> None:
    told: list[float | None] = []

    def full(latest: float | None) -> float:
        told.append(latest)
        return 0.0

    answer(full, "spare", 1.0)
    answer(full, "spare", None)
    assert told == [0.75, None]


@pytest.mark.parametrize(
    "error", [NotFound("catalogue", "none", ErrorReason.CATALOGUE_UNKNOWN), InferenceFailed("not finite")]
)
def test_what_is_no_want_of_models_stays_an_error(error: PortraitError) -> None:
    with pytest.raises(type(error)):
        answer(lambda _: error, "spare", 1.0)


def test_where_there_is_no_spare_answer_the_failure_is_told() -> None:
    with pytest.raises(Unavailable):
        answer(lambda _: Unavailable("", 1.0, ErrorReason.MODELS_UNAVAILABLE), None, 1.0)
    with pytest.raises(DeadlineExceeded):
        answer(lambda _: 1000.0, None, 1.0)
