"""The settings that the supervisor tells each gateway process that it starts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portrait.server.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a gateway process and of its shops, as the supervisor has read them.

    A process that is started again later has the same, whatever happens to the files and variables meanwhile.
    """

    gateway: Settings
    shops: Mapping[str | None, Settings]
    """By tenant; without tenants that is one, under None."""
    supervised: frozenset[str | None]
    """Tenants into whose Triton the supervisor loads releases."""

    def dump(self) -> bytes:
        """Return them as text: ASCII, so that the locale changes nothing, nor a path that is not UTF-8."""
        shops = [[tenant, _dump(shop), tenant in self.supervised] for tenant, shop in self.shops.items()]
        return json.dumps({"gateway": _dump(self.gateway), "shops": shops}, default=str).encode()

    @classmethod
    def load(cls, text: bytes) -> "WorkerSettings":
        """Read what `dump` returned."""
        told = json.loads(text)
        return cls(
            Settings(**told["gateway"]),
            {tenant: Settings(**shop) for tenant, shop, _ in told["shops"]},
            frozenset(tenant for tenant, _, is_supervised in told["shops"] if is_supervised),
        )


def _dump(settings: Settings) -> dict[str, Any]:
    """Return the value of every setting, so that neither variables nor a file are asked for any."""
    return settings.model_dump() | {"settings_file": None}
