"""TOML files of the operator, read as a model: what is wrong is told with its place in the file and the limit."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class TomlFileError(Exception):
    """A file can't be used; the message names it, each place at fault and the limit."""


def read_toml_file(path: Path, kind: type[M]) -> M:
    """Read a file as a model.

    Raises:
        TomlFileError: it can't be read, is no TOML, or breaks a limit of the model.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TomlFileError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise TomlFileError(f"{path}: {'; '.join(_describe_faults(error))}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise TomlFileError(f"{path}: {error}") from None


def _describe_faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False)
    ]
