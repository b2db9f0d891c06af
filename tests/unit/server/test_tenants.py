"""The file of tenants: what it gives each shop, and what is wrong with it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from support.command_line import run_portrait
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from portrait.server import app
from portrait.server.consent.consents import ConsentRule
from portrait.server.settings import Settings
from portrait.server.tenants import TenantsError, read_shops

SHOES = 'repository = "shoes/models"\nstate = "shoes/portrait.db"\naudiences = "shoes/a"\ntriton_log = "shoes/t.log"\n'
BOOKS = SHOES.replace("shoes", "books")


def write(folder: Path, **files: str) -> Settings:
    """Write the settings files of tenants and the file that names them; returns the settings of the gateway."""
    for name, content in files.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    names = "".join(f'{name} = "{name}.toml"\n' for name in files)
    (folder / "all").write_text(f"[tenants]\n{names}", encoding="utf-8")
    return Settings(tenants=folder / "all", access=folder / "access.toml", drain_seconds=3.0)


def test_without_tenants_there_is_one_shop_with_the_settings_of_the_gateway() -> None:
    settings = Settings()
    assert read_shops(settings) == {None: settings}
    assert read_shops(settings)[None] is settings


def test_a_tenant_has_its_own_settings_and_those_of_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = write(tmp_path, shoes=SHOES + 'consent_risk = "unless-withdrawn"\n', books=BOOKS)
    monkeypatch.setenv("PORTRAIT_CONSENT_RISK", "unless-withdrawn")  # would hold for every tenant
    monkeypatch.setenv("PORTRAIT_RULES", "rules.toml")
    shops = read_shops(settings)
    assert list(shops) == ["shoes", "books"]
    assert (shops["shoes"].consent_risk, shops["books"].consent_risk) == (
        ConsentRule.UNLESS_WITHDRAWN,
        ConsentRule.GRANTED,
    )
    for name in ("shoes", "books"):
        shop = shops[name]
        assert shop.state == Path(f"{name}/portrait.db")
        assert (shop.drain_seconds, shop.rules, shop.tenants) == (3.0, None, None)


def test_what_belongs_to_a_tenant_is_not_set_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTRAIT_STATE", "portrait.db")
    settings = write(tmp_path, shoes=SHOES)
    with pytest.raises(TenantsError, match="tenants: state is a setting of each tenant"):
        read_shops(settings)


@pytest.mark.parametrize(
    ("shoes", "why"),
    [
        ("port = 7", "shoes.toml: port is a setting of the gateway, not of a tenant"),
        ('access = "a"', "access is a setting of the gateway"),
        ("text_cache_mib = -1", "shoes.toml: text_cache_mib = -1: Input should be greater than or equal to 0"),
        ("stat = 1", "no setting has the name stat; did you mean state?"),
        ('verify_key = "k"', "verify_key needs releases_url"),
        ("state = ", "shoes.toml: Invalid value"),
    ],
)
def test_a_wrong_file_of_a_tenant_is_named(tmp_path: Path, shoes: str, why: str) -> None:
    with pytest.raises(TenantsError) as raised:
        read_shops(write(tmp_path, shoes=shoes, books=BOOKS))
    assert str(raised.value).startswith("tenants: shoes: ")
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("ours", "theirs", "setting"),
    [
        ("books/models", "shoes/../shoes/models", "repository"),
        ("books/portrait.db", "shoes/portrait.db", "state"),
        ("books/a", "shoes/a", "audiences"),
        ("books/t.log", "shoes/t.log", "triton_log"),
    ],
)
def test_two_tenants_share_nothing(tmp_path: Path, ours: str, theirs: str, setting: str) -> None:
    settings = write(tmp_path, shoes=SHOES, books=BOOKS.replace(ours, theirs))
    with pytest.raises(TenantsError, match=rf"shoes and books share .* \({setting} of books\): each needs its own"):
        read_shops(settings)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ('triton_url = "a:1,b:1"', 'triton_url = "c:1,b:1"'),
        ('triton_url = "unix:/run/t"', 'triton_url = "unix:///run/x/../t"'),
        ('state_url = "redis://r:1/0"', 'state_url = "redis://r:1/0"'),
        ('releases_url = "s3://r/x"', 'releases_url = "s3://r/x/"'),
        ('releases_url = "file:///srv/x"', 'releases_url = "file:///srv/y/../x"'),
        ('audit_log = "log"', 'audit_log = "./log"'),
        ('index_url = "http://m:1"', 'index_url = "http://m:1/"'),
        ('index_url = "lite.db"', 'index_url = "x/../lite.db"'),
    ],
)
def test_two_tenants_share_no_server(tmp_path: Path, ours: str, theirs: str) -> None:
    settings = write(tmp_path, shoes=f"{SHOES}{ours}\n", books=f"{BOOKS}{theirs}\n")
    with pytest.raises(TenantsError, match="shoes and books share"):
        read_shops(settings)


def test_two_tenants_have_servers_side_by_side(tmp_path: Path) -> None:
    lines = [
        f'triton_url = "unix:/run/{name}"\nstate_url = "redis://r:1/{place}"\nreleases_url = "s3://r/{name}"\n'
        f'index_url = "{name}.db"\n'
        for place, name in enumerate(("shoes", "books"))
    ]
    assert len(read_shops(write(tmp_path, shoes=SHOES + lines[0], books=BOOKS + lines[1]))) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "tenants: Field required"),
        ("[tenants]", "should have at least 1 item"),
        ('[tenants]\n"Shoes/x" = "shoes.toml"', "a name has 1 to 63 lower-case letters"),
        ('[tenants]\nshoes = "gone.toml"', "tenants: shoes: "),
        ("[tenants", "Expected"),
    ],
)
def test_an_unusable_file_says_why(tmp_path: Path, content: str, why: str) -> None:
    settings = write(tmp_path, shoes=SHOES)
    (tmp_path / "all").write_text(content, encoding="utf-8")
    with pytest.raises(TenantsError, match=r"^tenants: ") as raised:
        read_shops(settings)
    assert why in str(raised.value)


def test_tenants_need_access_rules() -> None:
    with pytest.raises(ValidationError, match="tenants needs access"):
        Settings(tenants=Path("all"))


def test_several_processes_share_no_file_of_milvus(tmp_path: Path) -> None:
    settings = write(tmp_path, shoes=SHOES + 'index_url = "milvus.db"\n', books=BOOKS)
    assert read_shops(settings)["shoes"].index_url == "milvus.db"
    with pytest.raises(TenantsError, match=r"tenants: shoes: .*processes can't share a file of Milvus Lite"):
        read_shops(settings.model_copy(update={"processes": 2}))


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "backup.db"), ("restore", "backup.db"), ("export-deletions",), ("build-audience-table",),
        ("rules", "check", "rules.toml"),
    ],
)  # fmt: skip
def test_a_command_on_one_shop_does_not_take_the_default_files_for_those_of_a_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    write(tmp_path, shoes=SHOES)
    monkeypatch.chdir(tmp_path)
    for name in ("backup.db", "rules.toml"):
        (tmp_path / name).touch()
    (tmp_path / "gateway.toml").write_text('tenants = "all"\naccess = "access.toml"\n', encoding="utf-8")
    done = run_portrait(*words, "--settings-file", "gateway.toml")
    assert (done.code, done.stdout) == (2, "")
    told = "error: tenants: this command works on one shop: give --settings-file with the file of a tenant\n"
    assert done.stderr == told
    assert not (tmp_path / "var").exists()


def test_a_command_works_on_the_tenant_whose_file_it_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, shoes=SHOES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTRAIT_TENANTS", "all")  # as in the container of the gateway
    monkeypatch.setenv("PORTRAIT_ACCESS", "access.toml")
    done = run_portrait("export-deletions", "--settings-file", "shoes.toml")
    assert done.code == 1
    assert "shoes/portrait.db does not exist" in done.stderr


def test_two_tenants_with_a_copy_of_one_state_are_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_keys(tmp_path / "jwks.json", SigningKey("first"))
    (tmp_path / "access.toml").write_text(
        f'[tokens]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nkeys = "jwks.json"\n', encoding="utf-8"
    )

    async def open_shop(settings: Settings, closing: object, *, tenant: str, **options: object) -> SimpleNamespace:
        return SimpleNamespace(store=SimpleNamespace(identity="a copied file keeps it"))

    monkeypatch.setattr(app, "open_shop", open_shop)
    assert app.run_gateway(write(tmp_path, shoes=SHOES, books=BOOKS), check=True) == 1
    assert "shoes and books have the same state, or a copy of it" in capfd.readouterr().err
