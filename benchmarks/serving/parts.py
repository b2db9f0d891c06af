"""The parts of the serving benchmark: each measures some targets, and can run by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One part; the module of its name beside this one has `measure(repository, **options)`."""

    name: str
    description: str
    options: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Options of the command line: default and meaning of each."""


PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        Part(
            "encoding",
            "text encoding through the gateway against the runtime in process",
            {
                "repetitions": (5, "how often each load is measured"),
                "texts": (5_000, "number of texts of each load"),
            },
        ),
        Part("peers", "text encoding beside Triton, LitServe and mosec"),
        Part(
            "rpcs",
            "cost of a call beside an empty server; warm, cold, growth",
            {"seconds": (8.0, "length of each load")},
        ),
        Part(
            "cold",
            "cold calls: CPU by process and catalogue, beside the same work in process and in other servers",
            {"calls": (600, "number of calls of each kind")},
        ),
        Part(
            "checks",
            "what access, consent and sensitive topics cost a cold recommendation",
            {"turns": (20, "turns of 100 calls of each gateway")},
        ),
        Part("event_writes", "durable writes of single events", {"seconds": (8.0, "length of each load")}),
        Part("catalogues", "cost by size of the catalogue, up to a million items"),
        Part("overload", "goodput at three times the capacity", {"seconds": (60.0, "length of the overload")}),
        Part(
            "cancels",
            "work and memory when callers leave",
            {"requests": (100_000, "calls during which memory is read")},
        ),
        Part("worst_case", "the most expensive legal request of every RPC, four at once"),
        Part(
            "swaps",
            "releases swapped and Triton killed under load",
            {
                "seconds": (60.0, "how long releases are swapped"),
                "swaps": (20, "number of swaps in that time"),
                "kills": (5, "how often Triton is killed"),
            },
        ),
        Part("fuzz", "bad input on the gateway's own port", {"inputs": (100_000, "number of inputs")}),
    )
}
"""By name, in the order of the results."""


def default_options(name: str) -> dict[str, float]:
    """Return the default options of a part."""
    return {option: default for option, (default, _) in PARTS[name].options.items()}
