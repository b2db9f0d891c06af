"""The reasons of errors: one closed list, which the code, its raises and the documentation agree on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    StateDamaged,
    Unauthenticated,
    Unavailable,
)
from portrait.server.rpc.contract.statuses import status_from_error

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations" / "gateway.md"
SERVER = ROOT / "server" / "portrait" / "server"
LIST = SERVER / "error_reasons.py"

ANY = ErrorReason.INTERNAL
STATUSES = {
    type(error).__name__: status_from_error(error, None).code.name
    for error in (
        InvalidRequest([]), NotFound("", "", ANY), AlreadyExists("", "", ANY), FailedPrecondition("", ANY),
        Unauthenticated("", ANY), PermissionDenied("", ANY),
        Overloaded("", 1.0, ANY), DiskFull("", 1.0), StateDamaged(""), Unavailable("", 1.0, ANY), DeadlineExceeded(""),
    )
} | {"InferenceFailed": "INTERNAL"}  # fmt: skip


def documented() -> dict[str, str]:
    """The status of each reason, as the documentation has them."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \| \S.*\|$", text, re.MULTILINE))


def reasons_in(node: ast.AST) -> set[str]:
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "ErrorReason"
    }


def trees() -> Iterator[ast.Module]:
    for path in sorted(SERVER.rglob("*.py")):
        if path != LIST:
            yield ast.parse(path.read_text(encoding="utf-8"))


def raised() -> Iterator[tuple[str, str]]:
    """Each error and each reason that it is made with somewhere, as far as one expression says so."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATUSES:
                yield from ((node.func.id, reason) for reason in reasons_in(node))
            elif isinstance(node, ast.ClassDef) and node.name in STATUSES:
                yield from ((node.name, reason) for reason in reasons_in(node))


def test_the_documentation_lists_every_reason_and_no_other() -> None:
    assert list(documented()) == [str(reason) for reason in ErrorReason]


def test_every_reason_is_used() -> None:
    assert set().union(*map(reasons_in, trees())) == set(ErrorReason.__members__)


@pytest.mark.parametrize(("error", "reason"), sorted(set(raised())))
def test_a_reason_belongs_to_the_status_that_the_documentation_says(error: str, reason: str) -> None:
    assert documented()[reason] == STATUSES[error]


def test_names_and_values_are_the_same() -> None:
    assert [reason.name for reason in ErrorReason] == [reason.value for reason in ErrorReason]
