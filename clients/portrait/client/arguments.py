"""Checks of arguments against their type hints, before a request is built, so that an error names the argument.

A wrong type raises a TypeError that says what the argument takes; a value that no message can carry raises an
ArgumentError, a subclass of ValueError. The gateway checks the limits of the contract, such as `k` from 1 to 1,000.
Error messages never contain the given value: it may identify a shopper.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

_MAX_INTEGER = 2**31 - 1
_TEXTS = (str, bytes, bytearray, memoryview)
_PASSED_UNCHANGED = (*_TEXTS, int, list, tuple, dict, Mapping)


class ArgumentError(ValueError):
    """An argument has a value that no message can carry."""


class _Fault(Exception):
    """A fault in an argument.

    Args:
        error_type: TypeError, ArgumentError or UnicodeError.
        problem: a sentence without its subject.
    """

    def __init__(self, error_type: type[Exception], problem: str) -> None:
        super().__init__(problem)
        self.error_type, self.problem, self.path = error_type, problem, ""

    def within(self, part: str) -> "_Fault":
        """Prepend the part of a larger value that has the fault."""
        self.path = part + self.path
        return self


@dataclasses.dataclass(frozen=True)
class _TypeCheck:
    """The values that a type hint allows."""

    name: str
    fits: Callable[[Any], bool]
    """Tells whether a value has the type, without looking inside."""
    check: Callable[[Any], None]
    """Checks the parts of a value that fits; raises _Fault."""

    def require(self, value: Any) -> None:
        """Check a value and all of its parts.

        Raises:
            _Fault: the value, or a part of it, has another type.
        """
        if not self.fits(value):
            hint = "; put it in a list" if isinstance(value, str) and "list of" in self.name else ""
            raise _Fault(TypeError, f"takes {_article(self.name)}; {_article(type(value).__name__)} was given{hint}")
        self.check(value)


def check(value: Any, hint: Any, name: str) -> None:
    """Check an argument against a type hint.

    Raises:
        TypeError: the argument, or a part of it, has another type.
        ArgumentError: no message can carry it.
    """
    try:
        _check_of(hint).require(value)
    except _Fault as fault:
        raise fault.error_type(f"{name}{fault.path} {fault.problem}") from None


def check_each(values: Iterable[Any], hint: Any, name: str, first: int) -> None:
    """Check entries of an argument; `first` is the index of the first of them. See `check`."""
    kind = _check_of(hint)
    for index, value in enumerate(values, first):
        try:
            kind.require(value)
        except _Fault as fault:
            raise fault.error_type(f"{name}[{index}]{fault.path} {fault.problem}") from None


def bind(function: Callable[..., Any], given: Sequence[Any]) -> dict[str, Any]:
    """Check the positional arguments of a function against its type hints; returns them by name.

    Other iterables, such as iterators and arrays, become lists, so that they can be read twice.

    Raises:
        TypeError: an argument has another type.
        ArgumentError: no message can carry an argument.
    """
    bound = {}
    for (name, kind), value in zip(_checks_of(function), given, strict=True):
        readable_twice = list(value) if isinstance(value, Iterator) else value
        try:
            kind.require(readable_twice)
        except _Fault as fault:
            raise fault.error_type(f"{name}{fault.path} {fault.problem}") from None
        is_unchanged = value is None or isinstance(value, _PASSED_UNCHANGED) or not isinstance(value, Iterable)
        bound[name] = value if is_unchanged else list(readable_twice)
    return bound


@functools.cache
def _checks_of(function: Callable[..., Any]) -> list[tuple[str, _TypeCheck]]:
    return [(name, _check_of(hint)) for name, hint in get_type_hints(function).items() if name != "return"]


@functools.cache
def _check_of(hint: Any) -> _TypeCheck:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _union_check([_check_of(part) for part in sorted(parts, key=lambda part: part is not types.NoneType)])
    if origin is tuple:
        return _pair_check([_check_of(part) for part in parts])
    if origin and issubclass(origin, Mapping):
        return _mapping_check(*map(_check_of, parts))
    if origin and issubclass(origin, Iterable):
        return _list_check(_check_of(parts[0]))
    if hint is Any:
        return _TypeCheck("value", lambda _: True, _accept_all)
    if hint in _PLAIN_CHECKS:
        return _PLAIN_CHECKS[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass_check(hint)
    if issubclass(hint, Enum):
        return _enum_check(hint)
    return _TypeCheck(hint.__name__, lambda value: isinstance(value, hint), _accept_all)


def _union_check(kinds: Sequence[_TypeCheck]) -> _TypeCheck:
    def check(value: Any) -> None:
        last: _Fault | None = None
        for kind in kinds:
            if kind.fits(value):
                try:
                    kind.check(value)
                except _Fault as fault:
                    last = fault
                else:
                    return
        if last:
            raise last

    name = " or ".join(kind.name for kind in kinds if kind.name != "None")
    return _TypeCheck(name, lambda value: any(kind.fits(value) for kind in kinds), check)


def _pair_check(kinds: Sequence[_TypeCheck]) -> _TypeCheck:
    def check(value: Any) -> None:
        for place, (kind, part) in enumerate(zip(kinds, value, strict=True)):
            try:
                kind.require(part)
            except _Fault as fault:
                raise fault.within(f"[{place}]") from None

    name = f"pair of {' and '.join(kind.name for kind in kinds)}"
    return _TypeCheck(name, lambda value: isinstance(value, tuple | list) and len(value) == len(kinds), check)


def _mapping_check(key: _TypeCheck, worth: _TypeCheck) -> _TypeCheck:
    def check(value: Any) -> None:
        for kind, part, where in ((key, value.keys(), "a key"), (worth, value.values(), "a value")):
            for each in part:
                try:
                    kind.require(each)
                except _Fault as fault:
                    raise fault.within(f"[{where}]") from None

    return _TypeCheck(f"dict of {key.name} to {worth.name}", lambda value: isinstance(value, Mapping), check)


def _list_check(kind: _TypeCheck) -> _TypeCheck:
    def fits(value: Any) -> bool:
        return isinstance(value, Iterable) and not isinstance(value, (*_TEXTS, Mapping, Iterator))

    def check(value: Any) -> None:
        for place, each in enumerate(value):
            try:
                kind.require(each)
            except _Fault as fault:
                raise fault.within(f"[{place}]") from None

    return _TypeCheck(f"list of {kind.name}", fits, check)


def _dataclass_check(kind: type) -> _TypeCheck:
    @functools.cache
    def fields() -> list[tuple[str, _TypeCheck]]:
        hints = get_type_hints(kind)
        return [(field.name, _check_of(hints[field.name])) for field in dataclasses.fields(kind)]

    def check(value: Any) -> None:
        for name, each in fields():
            try:
                each.require(getattr(value, name))
            except _Fault as fault:
                raise fault.within(f".{name}") from None

    return _TypeCheck(kind.__name__, lambda value: isinstance(value, kind), check)


def _enum_check(kind: type[Enum]) -> _TypeCheck:
    def check(value: Any) -> None:
        try:
            kind(value)
        except ValueError:
            raise _Fault(ArgumentError, f"takes one of {', '.join(each.value for each in kind)}") from None

    return _TypeCheck(kind.__name__, lambda value: isinstance(value, str), check)


def _check_text(value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Fault(UnicodeError, "holds half a surrogate pair, which is no character") from None


def _check_time(value: datetime) -> None:
    if value.utcoffset() is None:
        raise _Fault(TypeError, "takes a datetime with a time zone, as datetime.now(UTC); this one has none")


def _is_integer(value: Any) -> bool:
    return type(value) is int or _is_index(value)


def _is_index(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and not hasattr(value, "__len__")


def _is_number(value: Any) -> bool:
    return (
        type(value) in {float, int}
        or _is_index(value)
        or (hasattr(value, "__float__") and not isinstance(value, bool) and not hasattr(value, "__len__"))
    )


def _check_integer(value: Any) -> None:
    if not -_MAX_INTEGER - 1 <= int(value) <= _MAX_INTEGER:
        raise _Fault(ArgumentError, "takes a whole number of at most 32 bits")


def _accept_all(_: Any) -> None: ...


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


_PLAIN_CHECKS = {
    str: _TypeCheck("str", lambda value: isinstance(value, str), _check_text),
    bool: _TypeCheck("bool", lambda value: isinstance(value, bool), _accept_all),
    int: _TypeCheck("int", _is_integer, _check_integer),
    float: _TypeCheck("number", _is_number, _accept_all),
    datetime: _TypeCheck("datetime", lambda value: isinstance(value, datetime), _check_time),
    types.NoneType: _TypeCheck("None", lambda value: value is None, _accept_all),
}
