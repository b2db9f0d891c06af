"""Work is let in or refused before it costs anything."""

import asyncio
import math
from collections.abc import Mapping

from portrait.server.admission.charges import Charge, set_charge
from portrait.server.admission.costs import Kind, cost_of
from portrait.server.admission.gate import End, Gate, Priority, Work
from portrait.server.admission.turns import Turns
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.context import Answer, Behaviour, Context, Interceptor, Method, current_deadline
from portrait.server.rpc.interceptors.identity import identity


def admission(gates: Mapping[Kind, Gate], turns: Turns) -> Interceptor:
    """Let every call of ours pass the gate of its kind; health and reflection pass by. Stands inside of `deadlines`.

    Args:
        gates: one for each kind.
        turns: in which admitted work is done.
    """

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        cost = cost_of(method.name)
        if cost is None:
            return proceed
        gate = gates[cost.kind]

        async def behaviour(request: bytes, context: Context) -> Answer:
            priority, caller = identity(context)
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
