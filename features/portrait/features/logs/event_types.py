"""Event types as logs spell them, and the sign of what was given back: one rule for `portrait prepare` and `record`."""

from collections.abc import Mapping
from types import MappingProxyType
from unicodedata import category

from portrait.features.events import EventType

_SPELLINGS = {
    EventType.SEARCH: (
        "search, searched, query, site search, product search, products searched, search submitted, view search results"
    ),
    EventType.VIEW: (
        "view, viewed, pv, page view, page viewed, product view, product viewed, viewed product, product page view, "
        "view product, view item, item view, item viewed, viewed item, view content, product detail, "
        "product detail view, detail, detail view, detail page view"
    ),
    EventType.CLICK: (
        "click, clicked, product click, product clicked, clicked product, item click, item clicked, select item"
    ),
    EventType.ADD_TO_CART: (
        "add to cart, added to cart, cart, cart add, product added, product added to cart, add to basket, "
        "added to basket, basket, basket add, add to bag, added to bag, begin checkout, checkout started, "
        "started checkout, initiate checkout, fav, favorite, favourite, add to favorites, add to favourites, wishlist, "
        "add to wishlist, added to wishlist, product added to wishlist, collect"
    ),
    EventType.PURCHASE: (
        "purchase, purchased, product purchased, product purchase, buy, bought, order, ordered, ordered product, "
        "order completed, completed order, order placed, placed order, place order, order paid, checkout completed, "
        "transaction, transaction item, sale, ecommerce purchase, purchase complete, purchase completed"
    ),
    EventType.RATE: "rate, rated, rating, product rated, review, reviewed, product reviewed, review submitted",
    EventType.REFUND: (
        "refund, refunded, order refunded, refunded order, product refunded, return, returned, product returned, "
        "order returned, cancel, cancelled, canceled, cancellation, order cancelled, order canceled, cancelled order, "
        "canceled order"
    ),
}
"""Names of Google Analytics 4, Google Retail, Segment, Shopify, Klaviyo, Meta, Snowplow, Taobao and of common public
logs, words apart.

A favourite or a wish list, and a checkout that begins, count as `add_to_cart`: the shopper set the item aside to buy
it.
What says nothing for the item has no name here, such as `remove_from_cart` or `view_item_list`.
"""

SEPARATOR_PATTERN = r"[\p{Z}\p{Cc}\p{Cf}_.:/-]+"
"""RE2 pattern of what stands between the words of a type and does not count. `normalise_type_name` skips the same."""

_SEPARATOR_CATEGORIES = {"Zs", "Zl", "Zp", "Cf", "Cc"}
FOLDED_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Those whose case does not count."""
_LOWER = str.maketrans(FOLDED_LETTERS, FOLDED_LETTERS.lower())


def normalise_type_name(name: str) -> str:
    """Write a type's name without separators, its letters A to Z in lower case."""
    return "".join(letter for letter in name.translate(_LOWER) if not _is_separator(letter))


def _is_separator(letter: str) -> bool:
    # ASCII first: nearly every letter is, and `unicodedata` need not be asked.
    if letter.isascii():
        return letter in "_.:/-" or letter <= " " or letter == "\x7f"
    return category(letter) in _SEPARATOR_CATEGORIES


EVENT_TYPE_NAMES: Mapping[str, EventType] = MappingProxyType(
    {
        normalise_type_name(spelling): kind
        for kind, spellings in _SPELLINGS.items()
        for spelling in (kind.value, *spellings.split(","))
    }
)
"""Types by their names, as `normalise_type_name` writes them."""


def read_event_type(name: str) -> EventType | None:
    """The type that a log means by a name; None if it is none."""
    return EVENT_TYPE_NAMES.get(normalise_type_name(name))


def read_signs(
    kind: EventType, price: float | None, quantity: float | None
) -> tuple[EventType, float | None, float | None]:
    """Read what minus signs say of a price and a quantity.

    Exports write what was given back with a minus. A refund's price and quantity count by their absolute value. A
    purchase of a negative quantity is a refund, as the cancelled lines of an invoice are. Any other negative value
    stays, for the caller to refuse: a purchase at a negative price is a discount or a correction, and no refund.

    Args:
        kind: the type that the log says.
        price: of one unit, in the shop's currency.
        quantity: in units.

    Returns:
        The type, the price and the quantity that are meant.
    """
    if kind is EventType.PURCHASE and quantity is not None and quantity < 0:
        kind = EventType.REFUND
    if kind is not EventType.REFUND:
        return kind, price, quantity
    return kind, None if price is None else abs(price), None if quantity is None else abs(quantity)
