"""The tables of all releases on the disk: which there are, and how a new one takes the place of the last."""

import os
import shutil
import threading
from pathlib import Path

import structlog

from portrait.features.files.numbered_folders import list_numbered_folders
from portrait.server.audiences.table import DESCRIPTION_FILE, AudienceTable

MAX_SNAPSHOTS = 2
"""Tables of a release that are kept: answers that were begun on the last but one can be gone on with."""

_MAX_SNAPSHOT_NUMBER = 2**63 - 1

_log = structlog.get_logger(__name__)


class TableSnapshots:
    """Opens tables, and remembers those that it has opened for as long as they are there. Threads may share it.

    Releases are named by their `identity`. A damaged table counts as none, and so does one of another state, such as
    that from which a backup was restored: it may hold shoppers who are forgotten. The log tells of either once.

    Args:
        folder: of all tables; need not exist.
        state: identity of the store whose shoppers the tables hold.
    """

    def __init__(self, folder: Path, state: str) -> None:
        self._folder, self._state = folder, state
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, int], AudienceTable | None] = {}
        """None: it is damaged, or of another state."""

    def release_folder(self, release: str) -> Path:
        """The folder of a release's tables."""
        return self._folder / release

    def list_numbers(self, release: str) -> list[int]:
        """The snapshots of a release, oldest first: only folders that hold a whole table."""
        return list_numbered_folders(self.release_folder(release), DESCRIPTION_FILE, _MAX_SNAPSHOT_NUMBER)

    def open_newest(self, release: str) -> AudienceTable | None:
        """The newest table of a release that can be read; None if there is none."""
        opened = (self.open(release, number) for number in reversed(self.list_numbers(release)))
        return next((table for table in opened if table is not None), None)

    def open(self, release: str, snapshot: int) -> AudienceTable | None:
        """One table; None if it is gone, damaged or of another state."""
        with self._lock:
            there = {(release, number) for number in self.list_numbers(release)}
            for gone in [each for each in self._opened if each[0] == release and each not in there]:
                del self._opened[gone]
            if (release, snapshot) not in there:
                return None
            if (release, snapshot) not in self._opened:
                self._opened[release, snapshot] = self._read(self.release_folder(release) / str(snapshot))
            return self._opened[release, snapshot]

    def _read(self, folder: Path) -> AudienceTable | None:
        try:
            table = AudienceTable.open(folder)
        except (OSError, ValueError) as error:
            _log.error("audience_table_damaged", snapshot=folder.name, exception=type(error).__qualname__)
            return None
        if table.description.state != self._state:
            _log.warning("audience_table_of_another_state", snapshot=folder.name)
            return None
        return table

    def publish(self, made: Path, release: str, snapshot: int) -> None:
        """Have a table be the newest of its release, at once and as a whole; the oldest ones go.

        Args:
            made: the table's folder, on the same file system.
            release: what it is of.
            snapshot: its number.
        """
        for file in made.iterdir():
            file.chmod(0o600)  # it names shoppers
        os.replace(made, self.release_folder(release) / str(snapshot))
        for number in self.list_numbers(release)[:-MAX_SNAPSHOTS]:
            oldest = self.release_folder(release) / str(number)
            (
                oldest / DESCRIPTION_FILE
            ).unlink()  # first: without it, what is left by whoever is killed here is no table
            shutil.rmtree(oldest)
