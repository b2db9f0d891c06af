"""Work is let in or refused before it costs anything."""

import asyncio
import math
import re
from collections.abc import Mapping

from portrait.server.admission.costs import Kind, cost_of
from portrait.server.admission.gate import End, Gate, Priority, Work
from portrait.server.admission.turns import Turns
from portrait.server.batching.share import Share, set_share
from portrait.server.errors import DeadlineExceeded, InvalidRequest, Violation
from portrait.server.interceptors.chain import Answer, Behaviour, Context, Interceptor, Method
from portrait.server.interceptors.deadlines import current_deadline

PRIORITY, CALLER = "x-priority", "x-caller"
"""Metadata by which a caller says how urgent a call is, and who it is."""

_CALLER = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
_PORT = re.compile(r":\d+$")
_SUBJECTS = ("x509_subject", "x509_common_name")


def admission(gates: Mapping[Kind, Gate]) -> Interceptor:
    """Let every call of ours pass the gate of its kind; health and reflection pass by. Stands inside of `deadlines`."""
    turns = Turns()

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        cost = cost_of(method.name)
        if cost is None:
            return proceed
        gate = gates[cost.kind]

        async def behaviour(request: bytes, context: Context) -> Answer:
            priority, caller = _said(context)
            # Apart by method: what a service upserts must not hold up what it recommends.
            set_share(Share(f"{caller} {method.name}", background=priority is Priority.BATCH))
            deadline = current_deadline()
            ticket = await gate.enter(
                Work(
                    method.name, cost.units(len(request)), priority, caller, math.inf if deadline is None else deadline
                )
            )
            end = End.LOST
            try:
                answer = await turns.run(proceed(request, context))
                end = End.DONE
                return answer
            except DeadlineExceeded:
                end = End.LATE
                raise
            except asyncio.CancelledError:
                if deadline is not None and deadline <= asyncio.get_running_loop().time():
                    end = End.LATE
                raise
            finally:
                gate.leave(ticket, end)

        return behaviour

    return intercept


def _said(context: Context) -> tuple[Priority, str]:
    """How urgent the call is, and whose.

    Raises:
        InvalidRequest: the metadata that says so is not what it may be.
    """
    priority, caller = Priority.INTERACTIVE, ""
    for key, value in context.invocation_metadata() or ():
        if key == PRIORITY:
            if value not in tuple(Priority):
                raise InvalidRequest([Violation(PRIORITY, f"metadata; the limit is {' or '.join(Priority)}")])
            priority = Priority(value)
        elif key == CALLER:
            if not isinstance(value, str) or not _CALLER.fullmatch(value):
                raise InvalidRequest([Violation(CALLER, "metadata; the limit is 1 to 128 letters, digits, `._:@/-`")])
            caller = value
    return priority, _certified(context) or (f"name {caller}" if caller else _peer(context))


def _certified(context: Context) -> str:
    """Subject of the caller's certificate, which it can't make up; empty without one."""
    said = context.auth_context()
    for subject in _SUBJECTS:
        for name in said.get(subject, ()):
            return f"certificate {name.decode(errors='replace')}"
    return ""


def _peer(context: Context) -> str:
    """The caller's address without its port; "anonymous" where a call has none."""
    peer: str = context.peer() or ""
    return f"peer {_PORT.sub('', peer)}" if peer.startswith(("ipv4:", "ipv6:")) else "anonymous"
