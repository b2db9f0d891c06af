"""Traits files: what they may declare, and what is said of those that declare something else."""

from pathlib import Path

import pytest

from portrait.training.errors import DeclarationError
from portrait.training.traits import declarations

TRAIT = """
[[trait]]
name = "buys"
horizon_days = 30
label = "SELECT shopper_id, true AS label FROM shoppers"
"""


def read(folder: Path, text: str) -> declarations.Declarations:
    file = folder / "traits.toml"
    file.write_text(text, encoding="utf-8")
    return declarations.read_declarations(file)


def test_reads_a_trait(tmp_path: Path) -> None:
    found = read(tmp_path, TRAIT)
    (trait,) = found.traits
    assert (trait.name, trait.horizon_days, trait.window_days) == ("buys", 30, 90)


def test_reads_the_examples() -> None:
    for file in (Path(__file__).parents[4] / "docs/examples/traits").glob("*.toml"):
        assert declarations.read_declarations(file).traits


@pytest.mark.parametrize(
    ("text", "trait", "field"),
    [
        ("]", None, None),
        ("", None, "trait"),
        ("trait = 3", None, "trait"),
        ("traits = 3" + TRAIT, None, "traits"),
        (TRAIT + TRAIT, "buys", "name"),
        (TRAIT.replace("buys", "Will buy"), "Will buy", "name"),
        (TRAIT.replace("30", "0"), "buys", "horizon_days"),
        (TRAIT.replace("30", "true"), "buys", "horizon_days"),
        (TRAIT + "window_days = 89", "buys", "window_days"),
        (TRAIT + "windows = 89", "buys", "windows"),
        (TRAIT + "description = 1", "buys", "description"),
        (TRAIT.replace("label", "table"), "buys", "table"),
        (TRAIT + 'table = "labels.csv"', "buys", "label"),
        (TRAIT.split("label")[0], "buys", "label"),
        (TRAIT.split("label")[0] + 'table = "labels.csv"', "buys", "table"),
    ],
)
def test_says_where_a_file_is_wrong(tmp_path: Path, text: str, trait: str | None, field: str | None) -> None:
    with pytest.raises(DeclarationError) as caught:
        read(tmp_path, text)
    assert (caught.value.trait, caught.value.field) == (trait, field)
    assert str(caught.value).startswith(str(tmp_path / "traits.toml"))


def test_says_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="can't be read"):
        declarations.read_declarations(tmp_path / "none.toml")
