"""Names of event types, and what a minus sign says: the rules that `prepare` and `record` share."""

import duckdb
import pytest

from portrait.features.events import EventType
from portrait.features.logs.event_types import EVENT_TYPE_NAMES, normalise_type_name, read_event_type, read_signs
from portrait.training.prepare.signs import normalised_type_sql


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("view_item", EventType.VIEW),
        ("Product Viewed", EventType.VIEW),
        ("productViewed", EventType.VIEW),
        ("pv", EventType.VIEW),
        (" VIEW\t", EventType.VIEW),
        ("\u00a0view\u200b", EventType.VIEW),
        ("view_search_results", EventType.SEARCH),
        ("Products Searched", EventType.SEARCH),
        ("select_item", EventType.CLICK),
        ("Product Clicked", EventType.CLICK),
        ("add_to_cart", EventType.ADD_TO_CART),
        ("AddToCart", EventType.ADD_TO_CART),
        ("add-to-cart", EventType.ADD_TO_CART),
        ("Product Added", EventType.ADD_TO_CART),
        ("product_added_to_cart", EventType.ADD_TO_CART),
        ("cart", EventType.ADD_TO_CART),
        ("fav", EventType.ADD_TO_CART),
        ("add_to_wishlist", EventType.ADD_TO_CART),
        ("begin_checkout", EventType.ADD_TO_CART),
        ("Checkout Started", EventType.ADD_TO_CART),
        ("buy", EventType.PURCHASE),
        ("Order Completed", EventType.PURCHASE),
        ("purchase-complete", EventType.PURCHASE),
        ("detail-page-view", EventType.VIEW),
        ("transaction_item", EventType.PURCHASE),
        ("checkout_completed", EventType.PURCHASE),
        ("Product Reviewed", EventType.RATE),
        ("Order Refunded", EventType.REFUND),
        *((kind.value, kind) for kind in EventType),
    ],
)
def test_a_type_has_the_names_of_common_trackers(name: str, kind: EventType) -> None:
    assert read_event_type(name) is kind


@pytest.mark.parametrize("name", ["", " ", "remove_from_cart", "view_item_list", "view_cart", "1", "купить", "VİEW"])
def test_what_is_no_type_is_none(name: str) -> None:
    assert read_event_type(name) is None


@pytest.mark.parametrize(
    "name", [*EVENT_TYPE_NAMES, "A b\u00a0\u200bC_d.e:f/g-h\u2028i\x7fj\u0085k", "VİEW", "KÄSE", "", "\ufeff a\x1c"]
)
def test_the_pattern_for_sql_skips_what_python_skips(name: str) -> None:
    with duckdb.connect() as connection:
        [row] = connection.execute(f"SELECT {normalised_type_sql('$1')}", [name]).fetchall()
    assert row == (normalise_type_name(name),)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((EventType.REFUND, 5.0, -1.0), (EventType.REFUND, 5.0, 1.0)),
        ((EventType.REFUND, -5.0, None), (EventType.REFUND, 5.0, None)),
        ((EventType.REFUND, None, None), (EventType.REFUND, None, None)),
        ((EventType.PURCHASE, 5.0, -2.0), (EventType.REFUND, 5.0, 2.0)),
        ((EventType.PURCHASE, -5.0, -2.0), (EventType.REFUND, 5.0, 2.0)),
        ((EventType.PURCHASE, -5.0, 1.0), (EventType.PURCHASE, -5.0, 1.0)),
        ((EventType.PURCHASE, 5.0, 2.0), (EventType.PURCHASE, 5.0, 2.0)),
        ((EventType.VIEW, -5.0, -2.0), (EventType.VIEW, -5.0, -2.0)),
    ],
)
def test_a_minus_is_what_was_given_back(
    given: tuple[EventType, float | None, float | None], meant: tuple[EventType, float | None, float | None]
) -> None:
    assert read_signs(*given) == meant
