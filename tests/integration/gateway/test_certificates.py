"""Certificates of a gateway that serves: swapped under load, and wrong ones at the start."""

import asyncio
import shutil
import signal
import socket
import ssl
from pathlib import Path

import grpc
from support.certificates import make_authority, make_certificate
from support.command_line import run_portrait
from support.gateway import RunningGateway, Stubs, run_gateway, serve_command

from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_service_pb2 import GetProfileRequest

VIEW = shopper_pb2.History(events=[{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}])
REQUEST = GetProfileRequest(shopper=shopper_pb2.ShopperRef(history=VIEW))


class Load:
    """Calls over one connection that stays and over ever new ones."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials) -> None:
        self._address, self._credentials = address, credentials
        self._stopping = False
        self.answered = 0

    async def run(self) -> None:
        """Call until stopped; any failed call raises."""
        await asyncio.gather(self._call(1_000_000), self._call(1))

    def stop(self) -> None:
        self._stopping = True

    async def _call(self, calls_per_connection: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        while not self._stopping:
            async with grpc.aio.secure_channel(self._address, self._credentials, options) as channel:
                for _ in range(calls_per_connection):
                    await Stubs.over(channel).profiles.GetProfile(REQUEST, timeout=30)
                    self.answered += 1
                    if self._stopping:
                        break


def shown(gateway: RunningGateway, folder: Path) -> str:
    """Name of the certificate that a new connection sees."""
    host, _, port = gateway.address.rpartition(":")
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection((host, int(port)), timeout=30)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        subject = dict(pair for part in connection.getpeercert()["subject"] for pair in part)  # type: ignore[index]
    return str(subject["commonName"])


def put(folder: Path, name: str, kind: str) -> None:
    """Put a file of another certificate in place, as tools that renew certificates do."""
    shutil.copy(folder / f"{name}.{kind}", folder / "new")
    (folder / "new").rename(folder / f"live.{kind}")


async def test_certificates_are_swapped_under_load(repository: Path, tmp_path: Path) -> None:
    make_authority(tmp_path)
    for name in ("first", "second", "third"):
        make_certificate(tmp_path, name)
    for kind in ("pem", "key"):
        put(tmp_path, "first", kind)
    tls = ("--tls-certificate", f"{tmp_path}/live.pem", "--tls-key", f"{tmp_path}/live.key")
    credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    with run_gateway(repository, tmp_path, *tls) as gateway:
        load = Load(gateway.address, credentials)
        running = asyncio.create_task(load.run())

        async def more() -> None:
            """Let some calls pass."""
            wanted = load.answered + 20
            while load.answered < wanted and not running.done():
                await asyncio.sleep(0.01)

        await more()
        assert await asyncio.to_thread(shown, gateway, tmp_path) == "first"
        put(tmp_path, "second", "pem")  # its key is yet to come
        await more()
        assert await asyncio.to_thread(shown, gateway, tmp_path) == "first"
        put(tmp_path, "second", "key")
        await more()
        assert await asyncio.to_thread(shown, gateway, tmp_path) == "second"
        (tmp_path / "live.pem").write_bytes((tmp_path / "third.pem").read_bytes()[:100])  # half-written
        await more()
        (tmp_path / "live.key").write_bytes((tmp_path / "third.key").read_bytes())
        (tmp_path / "live.pem").write_bytes((tmp_path / "third.pem").read_bytes())
        gateway.process.send_signal(signal.SIGHUP)  # look now
        await more()
        assert await asyncio.to_thread(shown, gateway, tmp_path) == "third"
        load.stop()
        await running
        assert gateway.process.poll() is None
        # Once for each state of the files. A connection may see one empty, or see one change while it is read.
        assert 2 <= len(gateway.lines("certificate_reloaded", 2)) <= 4
        assert 2 <= len(gateway.lines("certificate_reload_failed", 2)) <= 6


def test_a_wrong_key_is_told_before_anything_is_started(repository: Path, tmp_path: Path) -> None:
    make_authority(tmp_path)
    for name in ("server", "other"):
        make_certificate(tmp_path, name)
    tls = ("--tls-certificate", f"{tmp_path}/server.pem", "--tls-key", f"{tmp_path}/other.key")
    for how in (("--check",), (), ("--processes", "2")):
        done = run_portrait(*serve_command(repository, tmp_path, *tls, *how)[1:])
        assert done.code == 1
        assert (
            f"tls_key: {tmp_path}/other.key is not the key of the certificate in {tmp_path}/server.pem" in done.stderr
        )
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "triton.log").exists()
