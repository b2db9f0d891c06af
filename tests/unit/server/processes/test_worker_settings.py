"""The settings that a gateway process is told: all of them arrive, and nothing else counts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from portrait.server.consent.consents import ConsentRule
from portrait.server.processes.worker_settings import WorkerSettings
from portrait.server.settings import Settings


def test_a_process_has_what_it_is_told_and_neither_variables_nor_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("port = 7", encoding="utf-8")
    gateway = Settings(settings_file=file, processes=3, tenants=Path("tenants.toml"), access=Path("access.toml"))
    shoes = Settings(
        state=Path("shoes/\udcff.db"), state_url="redis://:secret@r:1/0", consent_risk=ConsentRule.UNLESS_WITHDRAWN
    )
    told = WorkerSettings(gateway, {"shoes": shoes, "books": Settings(triton_url="t:1")}, frozenset({"shoes"}))
    text = told.dump()
    assert text.isascii()
    monkeypatch.setenv("PORTRAIT_RULES", "rules.toml")
    monkeypatch.setenv("PORTRAIT_TRITON_URL", "other:1")
    file.write_text("port = ", encoding="utf-8")  # being edited
    with pytest.raises((ValidationError, ValueError)):
        Settings(settings_file=file)
    read = WorkerSettings.load(text)
    assert read.gateway == gateway.model_copy(update={"settings_file": None})
    assert (read.shops, read.supervised) == (told.shops, told.supervised)


def test_the_shop_of_a_gateway_without_tenants_has_no_name() -> None:
    told = WorkerSettings(Settings(), {None: Settings()}, frozenset({None}))
    assert WorkerSettings.load(told.dump()) == told
