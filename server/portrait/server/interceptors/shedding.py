"""Under overload most calls are refused: then each costs as little as can be."""

from collections.abc import Mapping

from portrait.server.admission.costs import Kind, cost_of
from portrait.server.admission.gate import Gate
from portrait.server.admission.turns import Turns
from portrait.server.answers import Answers
from portrait.server.interceptors.chain import Answer, Behaviour, Context, Interceptor, Method
from portrait.server.interceptors.identity import identity


def shedding(gates: Mapping[Kind, Gate], turns: Turns, given: Answers) -> Interceptor:
    """Refuse a call that `admission` would refuse for want of room, before it is read. Stands outside of `reading`.

    Args:
        gates: those of `admission`.
        turns: told of every call.
        given: while many of its answers are given again, all calls are read.
    """

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        cost = cost_of(method.name)
        if cost is None:
            return proceed
        gate = gates[cost.kind]

        async def behaviour(unread: object, context: Context) -> Answer:
            turns.came()
            if gate.is_full and not given.worth_looking:
                raise gate.shed(*identity(context))
            return await proceed(unread, context)

        return behaviour

    return intercept
