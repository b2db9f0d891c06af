"""Arguments checked against their type hints before a request is built, so that an error names the argument.

A wrong type is a TypeError that says what the argument takes; a value that no message can carry is an ArgumentError, a
kind of ValueError. Limits of the contract, as `k` from 1 to 1,000, are the gateway's to check. No message of an error
holds what was given: it may name a shopper.
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
_AS_THEY_ARE = (*_TEXTS, int, list, tuple, dict, Mapping)


class ArgumentError(ValueError):
    """An argument has a value that no message can carry."""


class _Fault(Exception):
    """Something wrong within an argument.

    Args:
        kind: TypeError, ArgumentError or UnicodeError.
        said: what is wrong there, as a sentence whose subject is left out.
    """

    def __init__(self, kind: type[Exception], said: str) -> None:
        super().__init__(said)
        self.kind, self.said, self.where = kind, said, ""

    def within(self, part: str) -> "_Fault":
        """Say of which part of a larger value this is."""
        self.where = part + self.where
        return self


@dataclasses.dataclass(frozen=True)
class _Kind:
    """Values that a type hint allows."""

    name: str
    fits: Callable[[Any], bool]
    """Looks at the value itself."""
    check: Callable[[Any], None]
    """Looks at what is in a value that fits; raises _Fault."""

    def require(self, value: Any) -> None:
        """Check a value and all that is in it.

        Raises:
            _Fault: it is not of this kind.
        """
        if not self.fits(value):
            hint = "; put it in a list" if isinstance(value, str) and "list of" in self.name else ""
            raise _Fault(TypeError, f"takes {_article(self.name)}; {_article(type(value).__name__)} was given{hint}")
        self.check(value)


def check(value: Any, hint: Any, name: str) -> None:
    """Check an argument against a type hint.

    Raises:
        TypeError: it, or something in it, is of another type.
        ArgumentError: no message can carry it.
    """
    try:
        _kind(hint).require(value)
    except _Fault as fault:
        raise fault.kind(f"{name}{fault.where} {fault.said}") from None


def check_each(values: Iterable[Any], hint: Any, name: str, first: int) -> None:
    """Check entries of an argument, of which the first has a place of its own; see `check`."""
    kind = _kind(hint)
    for place, value in enumerate(values, first):
        try:
            kind.require(value)
        except _Fault as fault:
            raise fault.kind(f"{name}[{place}]{fault.where} {fault.said}") from None


def bind(function: Callable[..., Any], given: Sequence[Any]) -> dict[str, Any]:
    """Check the positional arguments of a function against its type hints; returns them by name.

    Lists of another kind, as iterators and arrays, become lists, so that they can be looked at twice.

    Raises:
        TypeError: one is of another type.
        ArgumentError: no message can carry one.
    """
    bound = {}
    for (name, kind), value in zip(_hints(function), given, strict=True):
        given_once = list(value) if isinstance(value, Iterator) else value
        try:
            kind.require(given_once)
        except _Fault as fault:
            raise fault.kind(f"{name}{fault.where} {fault.said}") from None
        is_as_it_is = value is None or isinstance(value, _AS_THEY_ARE) or not isinstance(value, Iterable)
        bound[name] = value if is_as_it_is else list(given_once)
    return bound


@functools.cache
def _hints(function: Callable[..., Any]) -> list[tuple[str, _Kind]]:
    return [(name, _kind(hint)) for name, hint in get_type_hints(function).items() if name != "return"]


@functools.cache
def _kind(hint: Any) -> _Kind:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _one_of([_kind(part) for part in sorted(parts, key=lambda part: part is not types.NoneType)])
    if origin is tuple:
        return _pair([_kind(part) for part in parts])
    if origin and issubclass(origin, Mapping):
        return _mapping(*map(_kind, parts))
    if origin and issubclass(origin, Iterable):
        return _list_of(_kind(parts[0]))
    if hint is Any:
        return _Kind("value", lambda _: True, _accept)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record(hint)
    if issubclass(hint, Enum):
        return _choice(hint)
    return _Kind(hint.__name__, lambda value: isinstance(value, hint), _accept)


def _one_of(kinds: Sequence[_Kind]) -> _Kind:
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
    return _Kind(name, lambda value: any(kind.fits(value) for kind in kinds), check)


def _pair(kinds: Sequence[_Kind]) -> _Kind:
    def check(value: Any) -> None:
        for place, (kind, part) in enumerate(zip(kinds, value, strict=True)):
            try:
                kind.require(part)
            except _Fault as fault:
                raise fault.within(f"[{place}]") from None

    name = f"pair of {' and '.join(kind.name for kind in kinds)}"
    return _Kind(name, lambda value: isinstance(value, tuple | list) and len(value) == len(kinds), check)


def _mapping(key: _Kind, worth: _Kind) -> _Kind:
    def check(value: Any) -> None:
        for kind, part, where in ((key, value.keys(), "a key"), (worth, value.values(), "a value")):
            for each in part:
                try:
                    kind.require(each)
                except _Fault as fault:
                    raise fault.within(f"[{where}]") from None

    return _Kind(f"dict of {key.name} to {worth.name}", lambda value: isinstance(value, Mapping), check)


def _list_of(kind: _Kind) -> _Kind:
    def fits(value: Any) -> bool:
        return isinstance(value, Iterable) and not isinstance(value, (*_TEXTS, Mapping, Iterator))

    def check(value: Any) -> None:
        for place, each in enumerate(value):
            try:
                kind.require(each)
            except _Fault as fault:
                raise fault.within(f"[{place}]") from None

    return _Kind(f"list of {kind.name}", fits, check)


def _record(kind: type) -> _Kind:
    @functools.cache
    def fields() -> list[tuple[str, _Kind]]:
        hints = get_type_hints(kind)
        return [(field.name, _kind(hints[field.name])) for field in dataclasses.fields(kind)]

    def check(value: Any) -> None:
        for name, each in fields():
            try:
                each.require(getattr(value, name))
            except _Fault as fault:
                raise fault.within(f".{name}") from None

    return _Kind(kind.__name__, lambda value: isinstance(value, kind), check)


def _choice(kind: type[Enum]) -> _Kind:
    def check(value: Any) -> None:
        try:
            kind(value)
        except ValueError:
            raise _Fault(ArgumentError, f"takes one of {', '.join(each.value for each in kind)}") from None

    return _Kind(kind.__name__, lambda value: isinstance(value, str), check)


def _check_text(value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Fault(UnicodeError, "holds half a surrogate pair, which is no character") from None


def _check_moment(value: datetime) -> None:
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


def _accept(_: Any) -> None: ...


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


_PLAIN = {
    str: _Kind("str", lambda value: isinstance(value, str), _check_text),
    bool: _Kind("bool", lambda value: isinstance(value, bool), _accept),
    int: _Kind("int", _is_integer, _check_integer),
    float: _Kind("number", _is_number, _accept),
    datetime: _Kind("datetime", lambda value: isinstance(value, datetime), _check_moment),
    types.NoneType: _Kind("None", lambda value: value is None, _accept),
}
