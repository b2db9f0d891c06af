"""States of a run on disk."""

from pathlib import Path

import pytest
import torch
from support.small_disk import small_disk

from portrait.training.checkpoints import load_state, save_state


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_state({"step": 3, "weights": [torch.ones(2)]}, tmp_path / "state.pt")
    read = load_state(tmp_path / "state.pt")
    assert read["step"] == 3
    assert torch.equal(read["weights"][0], torch.ones(2))


def test_a_full_disk_is_an_error_that_names_the_file_and_keeps_the_last_state(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mebibytes=1) as disk:
        save_state({"step": 1}, disk / "state.pt")
        with pytest.raises(OSError, match=r"No space left on device: .*/state\.pt"):
            save_state({"weights": torch.zeros(1 << 20)}, disk / "state.pt")
        assert load_state(disk / "state.pt") == {"step": 1}
        assert [path.name for path in disk.iterdir()] == ["state.pt"]


def test_what_is_no_fault_of_the_disk_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle") as caught:
        save_state({"open": (each for each in ())}, tmp_path / "state.pt")
    assert not isinstance(caught.value, OSError)
