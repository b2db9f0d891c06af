"""Releases that could not be loaded: whose fault it is decides whether they are refused or wait."""

import pytest

from portrait.features.release.manifest import ReleaseError
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InferenceFailed, PortraitError, Unavailable
from portrait.server.rollout.setbacks import Setbacks
from portrait.server.triton import TritonDown, TritonError, TritonLost

LOST = (TritonLost("it died"), Unavailable("the models are not there", 1.0, ErrorReason.MODELS_UNAVAILABLE))


@pytest.mark.parametrize(
    "error", [TritonDown("nobody answers"), Unavailable("no Milvus", 1.0, ErrorReason.INDEX_UNAVAILABLE)]
)
async def test_a_release_waits_for_what_is_away(error: Exception) -> None:
    setbacks = Setbacks()
    for _ in range(9):
        setbacks.note(2, error)
        assert (setbacks.refused.keys(), setbacks.delayed.keys()) == (set(), {2})
        assert not setbacks.is_due(2)
    assert setbacks.delayed[2].pause == 20.0
    setbacks.forget(2)
    assert setbacks.is_due(2)
    assert not setbacks.delayed


@pytest.mark.parametrize("error", [ReleaseError("damaged"), TritonError("no graph"), InferenceFailed("not finite")])
async def test_a_release_that_is_wrong_is_refused_at_once(error: Exception) -> None:
    setbacks = Setbacks()
    setbacks.note(2, TritonDown("nobody answers"))
    setbacks.note(2, error)
    setbacks.note(2, TritonDown("nobody answers"))
    assert (setbacks.refused.keys(), setbacks.delayed.keys()) == ({2}, set())


@pytest.mark.parametrize("error", LOST)
async def test_a_release_that_ends_triton_twice_is_refused(error: TritonError | PortraitError) -> None:
    """Each attempt could end the Triton that serves everybody: it must not be repeated every few seconds."""
    setbacks = Setbacks()
    setbacks.note(2, error)
    assert setbacks.delayed.keys() == {2}
    setbacks.note(2, TritonDown("it restarts"))
    for _ in range(7):
        setbacks.note(2, error)
        assert (setbacks.refused.keys(), setbacks.delayed.keys()) == ({2}, set())
    assert setbacks.refused[2].pause == 300.0
    setbacks.clear()
    setbacks.note(2, error)
    assert setbacks.delayed.keys() == {2}
