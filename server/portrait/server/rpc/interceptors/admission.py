"""Work is let in or refused before it costs anything."""

import asyncio
import math
from collections.abc import Mapping

from portrait.server.admission.charges import Charge, set_charge
from portrait.server.admission.costs import Workload, cost_of
from portrait.server.admission.gate import Gate, Priority, Work, WorkOutcome
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response, current_deadline
from portrait.server.rpc.interceptors.identity import read_identity


def admit_calls(gates: Mapping[Workload, Gate], turns: CooperativeScheduler) -> Interceptor:
    """Let every call of ours pass the gate of its kind; health and reflection pass by. Stands inside of `deadlines`.

    Args:
        gates: one for each kind.
        turns: in which admitted work is done.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        cost = cost_of(method.name)
        if cost is None:
            return proceed
        gate = gates[cost.workload]

        async def behaviour(request: bytes, context: Context) -> Response:
            priority, caller = read_identity(context)
            if cost.background:
                priority = Priority.BATCH
            # Apart by method: what a service upserts must not hold up what it recommends.
            set_caller_key(CallerKey(f"{caller} {method.name}", background=priority is Priority.BATCH))
            deadline = current_deadline()
            ticket = await gate.enter(
                Work(
                    method.name, cost.units(len(request)), priority, caller, math.inf if deadline is None else deadline
                )
            )
            set_charge(Charge(gate, ticket))
            end = WorkOutcome.LOST
            try:
                answer = await turns.run(proceed(request, context))
                end = WorkOutcome.DONE
                return answer
            except DeadlineExceeded:
                end = WorkOutcome.LATE
                raise
            except asyncio.CancelledError:
                if deadline is not None and deadline <= asyncio.get_running_loop().time():
                    end = WorkOutcome.LATE
                raise
            finally:
                gate.leave(ticket, end)

        return behaviour

    return intercept
