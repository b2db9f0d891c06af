"""Names of files for libraries that read every name as UTF-8, whatever the locale: DuckDB, Polars, faiss."""

import os
from pathlib import Path


def utf8_path(path: Path) -> str:
    """The absolute name whose UTF-8 bytes are those of the file's name on the disk.

    Absolute, since DuckDB and Polars take a leading `~` for the home folder.

    Raises:
        OSError: the name on the disk is not UTF-8, so these libraries can't open the file.
    """
    try:
        return os.fsencode(path.absolute()).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(f"the name of {str(path)!a} is not UTF-8") from None
