"""Generate the asynchronous client from the synchronous one, so that both have the same methods and documentation."""

import re
from pathlib import Path

CLIENT = Path(__file__).parent / "portrait" / "client"
_REPLACEMENTS = (
    (
        r"\A\"\"\".*?\"\"\"",
        '"""The asynchronous client. Generated from `sync.py` by `clients/generate_aio.py`: do not edit."""',
    ),
    (r"import Iterable, Iterator,", "import AsyncIterator, Iterable,"),
    (r"-> Iterator\[", "-> AsyncIterator["),
    (r"portrait\.client\.sync_channel import SyncChannel", "portrait.client.async_channel import AsyncChannel"),
    (r"class Client\(SyncChannel\)", "class AsyncClient(AsyncChannel)"),
    (r"Threads may share a client\.", "Create it, and use it, within one running event loop."),
    (r"self\._run\(", "await self._run("),
)
_METHOD = re.compile(r"^    def .*?(?=^    def |\Z)", re.MULTILINE | re.DOTALL)


def generate(source: str) -> str:
    """Convert the source of `sync.py` to that of `aio.py`, not yet formatted."""
    for pattern, replacement in _REPLACEMENTS:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE | re.DOTALL)
    return _METHOD.sub(_make_coroutine, source)


def _make_coroutine(method: re.Match[str]) -> str:
    """Make a method a coroutine, unless it streams: then it returns an asynchronous iterator at once."""
    return method[0] if "self._stream(" in method[0] else method[0].replace("    def ", "    async def ", 1)


if __name__ == "__main__":
    (CLIENT / "aio.py").write_text(generate((CLIENT / "sync.py").read_text(encoding="utf-8")), encoding="utf-8")
