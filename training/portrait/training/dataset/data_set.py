"""The data set of a run: the record in the run's folder, and the check that the data are unchanged.

<run>/data.json   path, content identity and report of the data set
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.features.files.atomic_write import atomic_write
from portrait.training.dataset.identity import read_identity
from portrait.training.errors import TrainingError
from portrait.training.files import read_json_object

DATA_RECORD_FILE = "data.json"
REPORT_FILE = "report.json"
"""Name of the report of `portrait prepare` in the folder of the data set."""


@dataclass(frozen=True)
class DataSet:
    """A prepared data set."""

    folder: Path
    identity: str
    """Hash over what training reads; see `identity`."""
    report: dict[str, Any]
    """Counts of `portrait prepare`; empty if the folder holds no report."""

    def record(self, run: Path) -> None:
        """Write down in a run's folder, and in those of its parts, that it is trained on this data set."""
        content = {"path": str(self.folder.resolve()), "identity": self.identity, "report": self.report}
        parts = [
            part.parent
            for part in run.glob(f"*/{DATA_RECORD_FILE}")
            if read_data_record(part.parent)["identity"] == self.identity
        ]
        for folder in (run, *parts):
            with atomic_write(folder / DATA_RECORD_FILE) as temporary:
                temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def require_trained(self, run: Path) -> None:
        """Require that a run was trained on this data set.

        Raises:
            TrainingError: it was trained on another one.
        """
        if (trained := read_data_record(run)["identity"]) != self.identity:
            raise TrainingError(
                f"{self.folder} is not the data set that {run} was trained on (its identity is {self.identity[:12]}, "
                f"that of the run's data {trained[:12]}); train a new run on it, or prepare the earlier log again"
            )


def open_data_set(folder: Path) -> DataSet:
    """Look at a prepared data set; reads all of its tables once.

    Raises:
        TrainingError: the folder holds no data set, or not the tables that its report is about.
    """
    identity = read_identity(folder)
    report = read_json_object(folder / REPORT_FILE) if (folder / REPORT_FILE).exists() else {}
    if report.get("identity", identity) != identity:
        raise TrainingError(
            f"the tables of {folder} are not those that its {REPORT_FILE} is about; run `portrait prepare` again"
        )
    return DataSet(folder, identity, report)


def open_data_set_of_run(run: Path) -> DataSet:
    """The data set of a run, which still has the content that the run was trained on.

    Raises:
        TrainingError: it is gone or changed, or the run does not say which one it is.
    """
    folder = Path(read_data_record(run)["path"])
    if not folder.exists():
        raise TrainingError(
            f"the data set of {run} is not at {folder} any more; "
            f"`portrait train DATA {run} --resume` tells the run where it is now"
        )
    data = open_data_set(folder)
    data.require_trained(run)
    return data


def read_data_record(run: Path) -> dict[str, Any]:
    """Read the record of a run's data set: `path`, `identity` and `report`.

    Raises:
        TrainingError: the file is missing or broken, or of a version that recorded no identity.
    """
    record = read_json_object(run / DATA_RECORD_FILE)
    if not isinstance(record.get("path"), str) or not isinstance(record.get("report"), dict):
        raise TrainingError(
            f"{run / DATA_RECORD_FILE} does not say on which data set the run was trained; train it again"
        )
    if not isinstance(record.get("identity"), str):
        raise TrainingError(
            f"{run} was trained by a version that did not record the content of its data set; train it again"
        )
    return record
