"""Messages about invalid settings: the source of a setting, its value there, and the limit."""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from portrait.server.runtime.environment import find_variable, is_service_link

_SECRET = {"tls_key"}
"""Settings whose value is never shown: by mistake it may be the content of a key instead of its path."""
_MAX_VALUE_CHARACTERS = 100


class SettingSources:
    """Finds the source of a setting: an option, an environment variable, or the settings file.

    Args:
        known: the names of all settings.
        options: the values of the command line, by name of the setting.
        environment: the environment variables.
    """

    def __init__(self, known: Collection[str], options: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._known, self._options, self._environment = known, options, environment

    def describe(self, error: ValidationError) -> str:
        """Describe all invalid settings in one line, each with its source, its value and the limit."""
        return "; ".join(map(self._describe, error.errors(include_url=False)))

    def describe_file(self, error: OSError | ValueError) -> str:
        """Describe why the settings file can't be read."""
        if isinstance(error, OSError):
            return f"{self._source('settings_file')}: {error.strerror}"
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "is not UTF-8"
        return f"{self._file()}: {reason}"

    def _describe(self, problem: ErrorDetails) -> str:
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # a conflict between settings; the message names them
            named = [name for name in self._known if name in message.split() and self._is_set(name)]
            return f"{message} ({', '.join(map(self._source, named))})"
        name = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":  # no value here: an unknown entry may be a secret of another program
            near = difflib.get_close_matches(name, self._known, n=1)
            return f"{self._file()}: no setting has the name {name}{f'; did you mean {near[0]}?' if near else ''}"
        return f"{self._source(name, problem['input'])}: {message}"

    def _is_set(self, name: str) -> bool:
        return name in self._options or bool(find_variable(name, self._environment)) or name in self._lines()

    def _source(self, name: str, value: object = None) -> str:
        """Quote a setting as the user wrote it: option, variable or line of the file."""
        variable = find_variable(name, self._environment)
        if name in self._options:
            return f"--{name.replace('_', '-')} {_shown(name, self._options[name])}"
        if variable and not is_service_link(name, self._environment[variable]):
            return f"{variable}={_shown(name, self._environment[variable])}"
        return f"{self._file()}: {name} = {_shown(name, self._lines().get(name, value))}"

    def _file(self) -> str:
        """Return the path of the settings file as the user wrote it; empty without one."""
        variable = find_variable("settings_file", self._environment)
        return str(self._options.get("settings_file") or (self._environment[variable] if variable else ""))

    def _lines(self) -> Mapping[str, Any]:
        """Parse the settings file; empty if it can't be read."""
        try:
            return tomllib.loads(Path(self._file()).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _shown(name: str, value: object) -> str:
    """Format a value for a message: secrets are hidden, long values are cut."""
    if name in _SECRET:
        return "…"
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}…"
