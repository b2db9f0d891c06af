"""Themes: labels without training, and the categories of Open e-commerce that a person would file under them."""

THEMES: dict[str, frozenset[str]] = {
    "things for a baby": frozenset({"baby", "diaper", "teether", "pacifier", "stroller", "infant", "breast"}),
    "someone who has pets": frozenset({"pet", "animal", "litter", "aquarium", "bird"}),
    "makeup": frozenset({"mascara", "lip", "eyelid", "eyebrow", "foundation", "cosmetic", "makeup"}),
    "video gaming": frozenset({"video", "console"}),
    "gardening": frozenset({"plant", "planter", "fertilizer", "garden", "herbicide", "soil"}),
    "jewellery": frozenset({"necklace", "earring", "ring", "bracelet", "jewelry"}),
    "working out": frozenset({"protein", "sporting", "exercise", "yoga", "dumbbell", "exerciser"}),
    "arts and crafts": frozenset({"art", "craft", "paint", "yarn", "sewing"}),
    "fixing things around the house": frozenset({"tools", "hardware", "plumbing", "building", "screwdriver", "drill"}),
    "books to read": frozenset({"book", "ebooks"}),
}
"""By label: words of the categories' names."""
TEMPLATES = ("{}", "interested in {}", "a shopper who buys {}")
"""Templates of a label for the text encoder; validation chooses one."""


def belongs_to(theme: str, name: str) -> bool:
    """Return whether a category belongs to a theme, by the words of its name."""
    return not THEMES[theme].isdisjoint(name.lower().replace("_", " ").split())
