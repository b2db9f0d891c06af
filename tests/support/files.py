"""Files that a running gateway follows."""

from pathlib import Path

from portrait.features.files.atomic_write import atomic_write


def replace_text(path: Path, text: str) -> None:
    """Replace the text of a file at once: who looks at it meanwhile finds the old text or the new, never a part."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
