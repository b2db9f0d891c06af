"""Conditions on rows in the language of Milvus. They name codes and numbers only, so that nothing needs quotes."""

from collections.abc import Iterator

from portrait.features.search.conditions import RowConditions

CATALOGUE, PATH, BRAND, PRICE, IS_COLD = "catalogue", "path", "brand", "price", "is_cold"
"""The fields of a collection that conditions are about; `PRICE` is 0 where a price is unknown."""


def format_expression(conditions: RowConditions) -> str:
    """Format conditions; the empty text if there are none."""
    return " and ".join(_format_parts(conditions))


def _format_parts(conditions: RowConditions) -> Iterator[str]:
    if conditions.catalogue is not None:
        yield f"{CATALOGUE} == {conditions.catalogue}"
    if conditions.paths:
        ranges = (f"({PATH} >= {codes.start} and {PATH} < {codes.stop})" for codes in conditions.paths)
        yield f"({' or '.join(ranges)})"
    if conditions.brands:
        yield f"{BRAND} in {list(conditions.brands)}"
    if conditions.min_price is not None or conditions.max_price is not None:
        yield f"{PRICE} > 0.0"
    if conditions.min_price is not None:
        yield f"{PRICE} >= {float(conditions.min_price)!r}"
    if conditions.max_price is not None:
        yield f"{PRICE} <= {float(conditions.max_price)!r}"
    if conditions.is_cold is not None:
        yield f"{IS_COLD} == {str(conditions.is_cold).lower()}"
