"""A session of Spark: on this machine, or on the cluster that Spark's own settings name."""

import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from portrait.training.errors import TrainingError, to_one_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.app.name": "portrait prepare",
    "spark.log.level": "FATAL",  # of an error of a task, the command says what it is
    "spark.sql.session.timeZone": "UTC",
    # No row is left out, and a shard is one file.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.maxRecordsPerFile": "0",
    # Times as numbers, and as they are: DuckDB wrote them and reads them.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_PYTHON_ERROR = re.compile(r"^[\w.]+(?:Error|Exception): .*", re.MULTILINE)


@contextmanager
def open_session(scratch: Path) -> Iterator["SparkSession"]:
    """A session that spills into `scratch`, unless the cluster says where else.

    Raises:
        TrainingError: Spark or Java is not installed, Spark does not start, or fails in the block.
    """
    _require_spark()
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        session = _start(scratch)
        try:
            yield session
        finally:
            session.stop()
    except (PySparkException, Py4JError) as error:
        raise TrainingError(f"Spark failed: {_find_cause(error)}") from error


def _start(scratch: Path) -> "SparkSession":
    from pyspark.sql import SparkSession

    # Else tasks take the first `python3` of the path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # A comma would be read as the end of one folder and the begin of another.
    spill = {} if "," in str(scratch) else {"spark.local.dir": str(scratch)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, which has no part in this
        return SparkSession.builder.config(map={**_SETTINGS, **spill}).getOrCreate()


def _require_spark() -> None:
    if find_spec("pyspark") is None:
        raise TrainingError("the engine spark needs pyspark: install Portrait's extra `spark`")
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        raise TrainingError("the engine spark needs Java 17 or later: install it, or name its folder in JAVA_HOME")


def _find_cause(error: Exception) -> str:
    """The error of the task that failed, else the first line of Spark's."""
    raised = _PYTHON_ERROR.findall(str(error))
    return raised[-1] if raised else to_one_line(error)
