"""Lines of JSON."""

import json
from collections.abc import Mapping
from typing import Any

from portrait.features.logs.identifiers import require_whole_characters


class LineError(ValueError):
    """A line is not a JSON object that can be read.

    Args:
        problem: what is wrong.
        column: the key of the value at fault; empty if none is.
    """

    def __init__(self, problem: str, column: str = "") -> None:
        super().__init__(problem)
        self.column = column


def parse_object(line: str) -> dict[str, Any]:
    """Read a line that holds one object, whose keys differ in more than their case.

    Raises:
        LineError: it does not.
    """
    read = parse_json(line)
    if not isinstance(read, dict):
        raise LineError("is not a JSON object")
    if "\\u" in line:
        _require_whole(read)
    return read


def parse_json(text: str) -> Any:
    """Read JSON.

    Raises:
        LineError: it is none, is nested too deeply, or an object names a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_name_once)
    except RecursionError:
        raise LineError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise LineError(f"is not JSON: {error.msg}, character {error.pos + 1}") from None


def _name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known: set[str] = set()
    for key, _ in pairs:
        if key.casefold() in known:
            raise LineError(f"names the key {key[:80]!a} twice")
        known.add(key.casefold())
    return dict(pairs)


def _require_whole(read: Mapping[str, Any]) -> None:
    for key, value in read.items():
        try:
            require_whole_characters(json.dumps([key, value], ensure_ascii=False))
        except ValueError as error:
            raise LineError(str(error), ascii(key)[1:-1]) from None
