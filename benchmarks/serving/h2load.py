"""Load from `h2load` (Debian package `nghttp2-client`): one call repeated, at little cost."""

import shutil
import subprocess
import tempfile

from benchmarks.common.load.generator import Call

_CONNECTIONS = 4


def measure_rate(address: str, call: Call, seconds: float, in_flight: int) -> float | None:
    """Measure answers a second in a closed loop; None if the program is not installed.

    Args:
        address: host:port.
        call: is sent each time.
        seconds: how long, after a second of warm-up.
        in_flight: calls under way at one time.
    """
    program = shutil.which("h2load")
    if program is None:
        return None
    options = {
        "duration": f"{seconds:.0f}",
        "warm-up-time": "1",
        "clients": str(_CONNECTIONS),
        "max-concurrent-streams": str(in_flight // _CONNECTIONS),
    }
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(call.request).to_bytes(4, "big") + call.request)
        body.flush()
        command = [program, *(f"--{name}={value}" for name, value in options.items()), f"--data={body.name}"]
        command += ["--header=te: trailers", "--header=content-type: application/grpc", f"http://{address}{call.path}"]
        said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    [line] = [line for line in said.splitlines() if line.startswith("requests:")]
    return int(line.split()[1]) / round(seconds)
