"""The audit log of a real gateway: who did what for whom, before it is done."""

import json
from pathlib import Path

import pytest
from support.command_line import run_portrait
from support.gateway import run_gateway

from portrait.client import (
    Client,
    Consent,
    InvalidRequestError,
    Purpose,
    Review,
    ReviewAction,
    ReviewTarget,
    UnavailableError,
)
from portrait.server.audit.log import read_lines
from portrait.server.storage.tombstones import shopper_sha256


def test_rights_are_exercised_on_record(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with run_gateway(repository, tmp_path, "--audit-log", str(path)) as gateway, Client(gateway.address) as client:
        client.set_consents("ann", [Consent(Purpose.ADVERTISING, granted=True)], metadata={"x-reason": "ticket 1"})
        list(client.export_shopper("ann", request_id="export-of-ann"))
        with pytest.raises(InvalidRequestError, match="x-reason"):
            client.forget_shopper("ann", metadata={"x-reason": "x" * 201})
        forgotten = run_portrait("forget", "ann", "--address", gateway.address, "--reason", "ticket 2")
        assert forgotten.code == 0, forgotten
        client.get_consents("ann")
        client.set_consents("bob", [Consent(Purpose.RISK, granted=False)])

        client.link_shoppers("eve", "web-of-eve", source="login", metadata={"x-reason": "login"})
        client.get_identity("eve")
        client.unlink_shoppers("eve", "web-of-eve")
        for target in (ReviewTarget(trait="t", shopper_id="ann"), ReviewTarget(item_id="i", all_shoppers=True)):
            client.set_review(Review(target, ReviewAction.BLOCK, reviewed_by="cleo"))
            client.remove_review(target)
        begun = [line for line in read_lines(path) if "method" in line]
        assert [line["method"].partition("/")[2] for line in begun] == [
            "SetConsents",
            "ExportShopper",
            "ForgetShopper",
            "SetConsents",
            "LinkShoppers",
            "UnlinkShoppers",
            *("SetReview", "RemoveReview", "SetReview", "RemoveReview"),
        ]
        assert [line["reason"] for line in begun] == ["ticket 1", "", "ticket 2", "", "login", *[""] * 5]
        assert {line["anonymous_sha256"] for line in begun[4:6]} == {shopper_sha256("web-of-eve")}
        assert [line["shopper_sha256"] for line in begun[6:8]] == [shopper_sha256("ann")] * 2
        assert [begun[6][key] for key in ("action", "subject", "reviewed_by")] == ["block", "trait", "cleo"]
        assert {line["target"]["item"]["item_id"] for line in begun[8:]} == {"i"}
        assert {line["shopper_sha256"] for line in begun[:3]} == {shopper_sha256("ann")}
        assert begun[1]["request_id"] == "export-of-ann"
        assert {line["caller"] for line in begun} == {"peer ipv4:127.0.0.1"}
        outcomes = {line["of"]: line["outcome"] for line in read_lines(path) if "of" in line}
        assert outcomes == {line["number"]: "OK" for line in begun}
        assert b"ann" not in path.read_bytes().replace(b"export-of-ann", b"")

        listed = run_portrait("audit", "list", path, "--shopper", "bob")
        assert [json.loads(line).get("outcome") for line in listed.stdout.splitlines()] == [None, "OK"]
        listed = run_portrait("audit", "list", path, "--shopper", "web-of-eve")
        assert [json.loads(line).get("outcome") for line in listed.stdout.splitlines()] == [None, "OK"] * 2
        assert run_portrait("audit", "verify", path).stdout.startswith("20 lines, as they were written")

        # Nothing is done that can't be written down.
        path.rename(tmp_path / "kept")
        path.mkdir()
        with pytest.raises(UnavailableError) as raised:
            client.forget_shopper("bob", timeout=1.0)
        assert raised.value.reason == "AUDIT_UNWRITABLE"
        assert client.get_consents("bob").records

    changed = (tmp_path / "kept").read_bytes().replace(b"ticket 2", b"ticket 3")
    (tmp_path / "kept").write_bytes(changed)
    done = run_portrait("audit", "verify", tmp_path / "kept")
    assert (done.code, "is not as it was written" in done.stderr) == (2, True)
