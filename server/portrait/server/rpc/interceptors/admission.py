"""Admission control: accepts or refuses calls before they cost anything."""

import asyncio
import math
from collections.abc import Mapping

from portrait.server.admission.charges import Charge, set_charge
from portrait.server.admission.costs import Workload, cost_of
from portrait.server.admission.gate import Gate, Priority, Work, WorkOutcome
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Request, Response, current_deadline
from portrait.server.rpc.interceptors.identity import read_identity


def admit_calls(gates: Mapping[Workload, Gate], scheduler: CooperativeScheduler) -> Interceptor:
    """Pass every call of the contract through the gate of its workload; health and reflection are exempt.

    It stands inside of `enforce_deadline` and `read_request`.

    Args:
        gates: one gate for each workload.
        scheduler: runs admitted calls step by step.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        cost = cost_of(method.name)
        if cost is None:
            return call_next
        gate = gates[cost.workload]
        parts_gate = gates[cost.part_workload] if cost.part_workload else None

        async def handle(request: Request, context: Context) -> Response:
            priority, caller = read_identity(context)
            if cost.background:
                priority = Priority.BATCH
            # A key for each method: a caller's upserts must not delay its own recommendations.
            set_caller_key(CallerKey(f"{caller} {method.name}", background=priority is Priority.BATCH))
            deadline = current_deadline()
            latest = math.inf if deadline is None else deadline
            size = 0 if method.takes_stream else len(request.wire)
            ticket = await gate.enter(Work(method.name, cost.units(size), priority, caller, latest))
            set_charge(Charge(gate, ticket, parts_gate))
            outcome = WorkOutcome.FAILED
            try:
                response = await scheduler.run(call_next(request, context))
                outcome = WorkOutcome.DONE
                return response
            except DeadlineExceeded:
                outcome = WorkOutcome.LATE
                raise
            except asyncio.CancelledError:
                if deadline is not None and deadline <= asyncio.get_running_loop().time():
                    outcome = WorkOutcome.LATE
                raise
            finally:
                gate.leave(ticket, outcome)

        return handle

    return intercept
