"""Every setting of the gateway: its type, default, unit and meaning, and where it is read from.

`portrait serve` makes its options from this class, so `--help` shows the descriptions below.
"""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from portrait.server.consent.consents import ConsentRule, Purpose
from portrait.server.runtime.addresses import UNIX_SCHEME, parse_host, parse_tcp_host
from portrait.server.runtime.environment import PREFIX, is_service_link
from portrait.server.storage.retention import KEEP_ALL, Retention


class Settings(BaseSettings):
    """The settings. An argument overrides the environment, and the environment overrides the file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    settings_file: Path | None = Field(None, description="TOML file of settings.")
    repository: Path = Field(
        Path("model_repository"), description="Folder of models and releases that `portrait export` wrote."
    )
    release: int | None = Field(
        None,
        ge=1,
        description="Release to serve, whatever `portrait release` says, until the end; unset means what "
        "`portrait release` says, and the newest before it was ever called.",
    )
    releases_url: str | None = Field(
        None,
        pattern=r"^(file|s3)://\S+$",
        description="URL of an archive that releases are pulled from into the repository: s3://BUCKET/PREFIX or "
        "file:///FOLDER. With state_url too, `portrait release` moves all gateways of that Redis at once. Needs the "
        "packages of the extra `releases`.",
    )
    verify_key: Path | None = Field(
        None,
        description="PEM file of Ed25519 public keys: only releases of the archive that one of them has signed are "
        "used. Unset means that every release is.",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on: an IPv4 or IPv6 address or a name; 0.0.0.0 or [::] for all; unix:PATH for a "
        "Unix socket. Use TLS beyond loopback.",
    )
    port: int = Field(
        50051, ge=0, le=65_535, description="Port to listen on; 0 means a free one. A Unix socket has none."
    )
    connection_age_seconds: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="How long a connection accepts new calls, in seconds, plus or minus a tenth; then its caller "
        "connects again, perhaps to another process. Running calls continue. 0 means for ever.",
    )
    processes: int = Field(
        1, ge=1, le=64, description="Gateway processes that share the port and the Triton: about one for each core."
    )
    state: Path = Field(
        Path("var/portrait.db"),
        description="SQLite file of recorded events, consents and changed items; created if missing.",
    )
    state_url: str | None = Field(
        None,
        pattern=r"^(redis|rediss|unix)://\S+$",
        description="URL of a Redis that holds the state in place of the file, for gateways on several machines: "
        "redis://HOST:PORT, rediss:// for TLS, of a cluster that of any node. Needs the packages of the extra `redis`.",
    )
    state_replicas: int = Field(
        0,
        ge=0,
        le=16,
        description="Replicas of Redis that must have a change before it is acknowledged. With 0, what was "
        "acknowledged in the last moment can be lost with a server.",
    )
    retain: str | None = Field(
        None,
        description="How long events are kept, by their type, for example view=90d,purchase=3y: 1d to 100y, a year of "
        "365 days. Older ones are refused, not served, and deleted. Types that are not named are kept for ever.",
    )
    index_url: str | None = Field(
        None,
        description="A Milvus that searches the nearest items in place of this process: http://HOST:PORT, https:// for "
        "TLS, or the path of a file of Milvus Lite, which ends with .db. `portrait index-release` brings a release "
        "there. Needs the packages of the extra `milvus`.",
    )
    audiences: Path = Field(
        Path("var/audiences"), description="Folder of the audience tables that `portrait build-audience-table` makes."
    )
    min_audience_size: int = Field(
        50,
        ge=1,
        description="Smallest audience that is returned or counted, and smallest seed of look-alikes, in shoppers.",
    )
    triton_url: str | None = Field(
        None,
        description="host:port of the gRPC endpoint of a Triton that runs, or unix:PATH of its socket; several, with "
        "commas between, share the work. Unset means start one here.",
    )
    triton_hedge_seconds: float | None = Field(
        None,
        gt=0,
        description="A batch that a Triton has not answered for so long is sent to a second one as well, and the first "
        "answer counts: shorter tails for some more work. Unset means never.",
    )
    triton_admin_key: Path | None = Field(
        None,
        description="File with NAME=VALUE, where the Triton that runs was given "
        "--grpc-restricted-protocol=model-repository:NAME=VALUE: releases are loaded there with it.",
    )
    triton_log: Path = Field(
        Path("var/triton.log"), description="Where the Triton that is started here writes its log."
    )
    text_cache_mib: int = Field(256, ge=0, description="Memory for cached embeddings of texts, in MiB.")
    response_cache_mib: int = Field(64, ge=0, description="Memory for cached responses, in MiB; 0 turns the cache off.")
    response_cache_ttl_seconds: float = Field(
        60.0,
        ge=0,
        description="Longest age of a cached response to a request without as_of, in seconds.",
    )
    consent_personalisation: ConsentRule = Field(
        ConsentRule.UNLESS_WITHDRAWN,
        description="Whether profiles, recommendations and rankings may use a shopper's events: only once consent is "
        "granted, or unless it is withdrawn.",
    )
    consent_advertising: ConsentRule = Field(ConsentRule.GRANTED, description="The same for being found in audiences.")
    consent_risk: ConsentRule = Field(
        ConsentRule.GRANTED, description="The same for decisions on risk, which callers read with GetConsents."
    )
    consent_demographics: ConsentRule = Field(
        ConsentRule.GRANTED, description="The same for keeping and showing demographics that shoppers declare."
    )
    max_concurrent_rpcs: int = Field(
        1000,
        ge=4,
        description="Calls served at the same time, at most, for each of models, store and audiences; the limit "
        "adapts to latency below this. Further calls get RESOURCE_EXHAUSTED.",
    )
    caller_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the calls served at the same time that one caller gets while others call too.",
    )
    default_deadline_seconds: float = Field(10.0, gt=0, description="Deadline of a call without one, in seconds.")
    max_deadline_seconds: float = Field(
        60.0, gt=0, description="Longest deadline of a call, in seconds; a later one is shortened to this."
    )
    max_message_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, description="Longest request; a longer one gets RESOURCE_EXHAUSTED, in bytes."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of the Prometheus endpoint; not a Unix socket.")
    metrics_port: int = Field(9464, ge=0, le=65_535, description="Port of it; 0 means a free one.")
    drain_seconds: float = Field(
        20.0, ge=0, description="How long running calls may take to end after SIGTERM or SIGINT, in seconds."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate chain; unset means plain text. Needs --tls-key."
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key.")
    tls_client_ca: Path | None = Field(
        None,
        description="PEM file of authorities: only callers with a certificate from one of them are served (mTLS).",
    )
    rules: Path | None = Field(
        None,
        description="TOML file of the shop's rules for recommendations: what is not shown, boosted, limited, spread or "
        "pinned. Unset means none.",
    )
    sensitive: Path | None = Field(
        None,
        description="TOML file of sensitive topics, which adds to those that Portrait ships or replaces them, and says "
        "what is allowed. Unset means those that Portrait ships, with nothing allowed.",
    )
    access: Path | None = Field(
        None,
        description="TOML file of the callers who may call, and with which scopes; what it does not allow is refused. "
        "Unset means that whoever reaches the port may call everything.",
    )
    tenants: Path | None = Field(
        None,
        description="TOML file of tenants, each with a settings file of its own: one gateway serves several shops, and "
        "access says whose each caller is. Unset means one shop.",
    )
    audit_log: Path | None = Field(
        None,
        description="File that gets a line before and after each change, export or deletion of what is recorded of a "
        "shopper. Unset means none.",
    )
    shopper_keys: Path | None = Field(
        None,
        description="TOML file of the keys by which the ids of forgotten shoppers, and of those in the audit log, are "
        "hashed, as of `portrait prepare --pseudonymise`. Unset means by SHA-256 without a key.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="URL of an OpenTelemetry collector that gets traces, by OTLP over gRPC, for example "
        "http://127.0.0.1:4317; https means TLS. Unset means no traces. Needs the packages of the extra `tracing`.",
    )
    trace_ratio: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of calls that are traced. A call whose caller sends a trace (W3C traceparent) is traced as "
        "the caller says.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line to write; calls are logged at info."
    )

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        return parse_host(value)

    @field_validator("metrics_host")
    @classmethod
    def _check_metrics_host(cls, value: str) -> str:
        return parse_tcp_host(value)

    @field_validator("triton_url")
    @classmethod
    def _check_triton_url(cls, value: str | None) -> str | None:
        if value is not None and not all(url.strip() for url in value.split(",")):
            raise ValueError("an address between two commas is empty")
        return value

    @field_validator("retain")
    @classmethod
    def _check_retain(cls, value: str | None) -> str | None:
        if value is not None:
            Retention.parse(value)
        return value

    @field_validator("index_url")
    @classmethod
    def _check_index_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://\S+|[^:]+\.db", value):
            raise ValueError("it is neither http://HOST:PORT nor https://HOST:PORT nor a path that ends with .db")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.tenants and not self.access:
            raise ValueError("tenants needs access, which says of which tenant each caller is")
        if self.verify_key and not self.releases_url:
            raise ValueError("verify_key needs releases_url")
        if self.default_deadline_seconds > self.max_deadline_seconds:
            raise ValueError("default_deadline_seconds is longer than max_deadline_seconds")
        if self.processes > 1 and self.host.startswith(UNIX_SCHEME):
            raise ValueError("processes can't share a Unix socket: set processes to 1, or host to an IP address")
        if self.processes > 1 and (self.index_url or "").endswith(".db"):
            raise ValueError(
                "processes can't share a file of Milvus Lite: set processes to 1, or index_url to the address of a "
                "server"
            )
        return self

    @property
    def triton_urls(self) -> list[str]:
        """The address of each Triton that runs; empty if one is started here."""
        return [url.strip() for url in (self.triton_url or "").split(",") if url.strip()]

    @property
    def retention(self) -> Retention:
        """The time for which events are kept."""
        return KEEP_ALL if self.retain is None else Retention.parse(self.retain)

    @property
    def consent_rules(self) -> dict[Purpose, ConsentRule]:
        """The rule of each purpose."""
        return {
            Purpose.PERSONALISATION: self.consent_personalisation,
            Purpose.ADVERTISING: self.consent_advertising,
            Purpose.RISK: self.consent_risk,
            Purpose.DEMOGRAPHICS: self.consent_demographics,
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the file that either of them names."""
        variables = {name: value for name, value in env_settings().items() if not is_service_link(name, value)}
        sources = init_settings, InitSettingsSource(settings_cls, variables)
        file = (variables | init_settings()).get("settings_file")
        return sources if file is None else (*sources, _file(settings_cls, Path(file)))


def _file(settings: type[BaseSettings], path: Path) -> InitSettingsSource:
    """Read a file that must exist: pydantic's own source ignores a missing file.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not TOML.
    """
    path.open("rb").close()
    return TomlConfigSettingsSource(settings, path)
