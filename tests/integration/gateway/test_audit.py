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
from portrait.features.logs.shopper_hashes import read_shopper_hasher, sha256_of
from portrait.server.audit.log import AuditLog, read_lines


def test_rights_are_exercised_on_record(repository: Path, tmp_path: Path) -> None:
    path, keys = tmp_path / "audit.jsonl", tmp_path / "keys.toml"
    keys.write_text(f"current = 'new'\n[keys]\nnew = '{'02' * 32}'\nold = '{'01' * 32}'\n", encoding="utf-8")
    hasher, options = read_shopper_hasher(keys), ("--audit-log", str(path), "--shopper-keys", str(keys))
    with run_gateway(repository, tmp_path, *options) as gateway, Client(gateway.address) as client:
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
        client.join_household("home-of-eve", "eve", source="account")
        client.get_household("home-of-eve")
        client.leave_household("home-of-eve", "eve")
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
            "JoinHousehold",
            "LeaveHousehold",
            *("SetReview", "RemoveReview", "SetReview", "RemoveReview"),
        ]
        assert [line["reason"] for line in begun] == ["ticket 1", "", "ticket 2", "", "login", *[""] * 7]
        assert {line["anonymous_sha256"] for line in begun[4:6]} == {hasher.hash("web-of-eve")}
        assert {line["household_sha256"] for line in begun[6:8]} == {hasher.hash("home-of-eve")}
        assert [line["shopper_sha256"] for line in begun[8:10]] == [hasher.hash("ann")] * 2
        assert [begun[8][key] for key in ("action", "subject", "reviewed_by")] == ["block", "trait", "cleo"]
        assert {line["target"]["item"]["item_id"] for line in begun[10:]} == {"i"}
        assert {line["shopper_sha256"] for line in begun[:3]} == {hasher.hash("ann")}
        assert begun[1]["request_id"] == "export-of-ann"
        assert {line["caller"] for line in begun} == {"peer ipv4:127.0.0.1"}
        outcomes = {line["of"]: line["outcome"] for line in read_lines(path) if "of" in line}
        assert outcomes == {line["number"]: "OK" for line in begun}
        assert b"ann" not in path.read_bytes().replace(b"export-of-ann", b"")
        assert sha256_of("ann")[2:].encode() not in path.read_bytes()
        state = ("--state", gateway.argument("--state"))
        deletions = run_portrait("export-deletions", *state, "--shopper-keys", keys)
        assert [line.partition(",")[0] for line in deletions.stdout.splitlines()[1:]] == [hasher.hash("ann")]
        without = run_portrait("export-deletions", *state)
        assert (without.code, "give the file that has them with shopper_keys" in without.stderr) == (1, True)

        AuditLog(path).append(method="before keys", shopper_sha256=sha256_of("zoe"))
        AuditLog(path).append(method="by the old key", shopper_sha256=hasher.list_hashes("zoe")[1])
        listed = run_portrait("audit", "list", path, "--shopper", "zoe", "--shopper-keys", keys)
        assert [json.loads(line)["method"] for line in listed.stdout.splitlines()] == ["before keys", "by the old key"]
        assert run_portrait("audit", "list", path, "--shopper", "bob").stdout == ""
        wrong = run_portrait("audit", "list", path, "--shopper", "bob", "--shopper-keys", path)
        assert (wrong.code, "can't be read as TOML" in wrong.stderr) == (2, True)
        listed = run_portrait("audit", "list", path, "--shopper", "bob", "--shopper-keys", keys)
        assert [json.loads(line).get("outcome") for line in listed.stdout.splitlines()] == [None, "OK"]
        listed = run_portrait("audit", "list", path, "--shopper", "web-of-eve", "--shopper-keys", keys)
        assert [json.loads(line).get("outcome") for line in listed.stdout.splitlines()] == [None, "OK"] * 2
        assert run_portrait("audit", "verify", path).stdout.startswith("26 lines, as they were written")

        # Nothing is done that can't be written down.
        path.rename(tmp_path / "kept")
        path.mkdir()
        with pytest.raises(UnavailableError) as raised:
            client.forget_shopper("bob", timeout=4.0)  # ends before the pause that it is told: no retry
        assert raised.value.reason == "AUDIT_UNWRITABLE"
        assert client.get_consents("bob").records

    changed = (tmp_path / "kept").read_bytes().replace(b"ticket 2", b"ticket 3")
    (tmp_path / "kept").write_bytes(changed)
    done = run_portrait("audit", "verify", tmp_path / "kept")
    assert (done.code, "is not as it was written" in done.stderr) == (2, True)
