"""Bad input, on the gateway's own port: `python -m benchmarks serving.fuzz REPOSITORY --inputs 100000`.

Each input is one thing that no good client does: bytes that are no message, a message cut short or of another length
than it says, a method or content type that there is not, a stream left midway, frames that are none, bytes that are not
even HTTP/2. None may bring the gateway down, hang, or be answered with a fault. After each block of inputs a good call
is made.
"""

import sys
from pathlib import Path

from benchmarks.common.cli import run_part
from benchmarks.common.fuzzing.fuzzer import send_bad_inputs
from benchmarks.common.gateway import run_gateway
from benchmarks.common.load.calls import make_mixed_calls
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS

SETTLED = 0.2
"""Share of the inputs after which memory counts: allocators and pools have reached their size."""


def measure(repository: Path, inputs: int = 100_000) -> list[Result]:
    """Fuzz a gateway.

    Args:
        repository: model repository.
        inputs: how many.
    """
    with run_gateway(repository) as gateway:
        memory = []
        report = send_bad_inputs(
            gateway.address, make_mixed_calls(repository, 200), inputs, 1, between=lambda: memory.append(gateway.rss)
        )
        counted = {name: value for name, value in gateway.metrics().items() if name.startswith("portrait_rpcs_total")}
        alive = gateway.process.poll() is None
    sys.stderr.write("".join(f"{count:8} {end}\n" for end, count in sorted(report.ends.items())))
    sys.stderr.write("".join(f"fault: {fault}\n" for fault in report.faults[:20]))
    internal = sum(value for name, value in counted.items() if 'code="INTERNAL"' in name or 'code="UNKNOWN"' in name)
    settled = memory[int(SETTLED * len(memory))]
    return [
        Result("bad input: hangs, crashes and faults", len(report.faults) + internal + (not alive), "inputs",
            f"{inputs} inputs", None, "value <= 0"),
        Result("bad input: good calls between that failed", report.failed_calls, "calls", f"{report.good_calls} calls",
            None, "value <= 0"),
        Result("bad input: memory", memory[-1] / 2**20, "MiB", f"{settled / 2**20:.1f} MiB after a fifth",
            memory[-1] / settled, "ratio <= 1.1"),
    ]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.fuzz", __doc__, measure, PARTS["fuzz"].options, arguments)
