"""Words of note: the words of a text that name a thing, not how much of it, which size or which model.

Shops write amounts in ways that no list holds (`12x330ml`, `Sft`, `6 btl`), so most of these rules are patterns.
Words are split by `extract_keywords`; this module decides which of them a profile may tell.
"""

import re
import unicodedata
from functools import lru_cache

from portrait.features.text.keywords import Keyword, extract_keywords
from portrait.features.text.normalisation import normalise_text
from portrait.features.text.segmentation import MEASURE_WORDS

AMOUNT_WORDS = frozenset(
    {
        "incl", "inkl", "approx", "asst",
        "capacity", "count", "counts", "dozen", "doz", "ea", "each", "fl", "floz", "gal", "gram", "grams", "gramm",
        "gramme", "grammes", "gramos", "grammi", "grm", "inch", "inches", "gallon", "gallons", "galon", "kilo",
        "kilos", "kilogram", "kilograms", "kilogramm", "kilogrammes", "liter", "liters", "litre", "litres", "litro",
        "litros", "litri", "milliliter", "milliliters", "millilitre", "millilitres", "milligram", "milligrams",
        "meter", "meters", "metre", "metres", "metri", "millimeter", "millimeters", "centimeter", "centimeters",
        "millimetre", "centimetre", "ounce", "ounces", "pound", "pounds", "lot", "lots", "pack", "packs", "packet",
        "packets", "package", "packages", "packung", "packungen", "paket", "pakete", "paquet", "paquets", "paquete",
        "paquetes", "pacco", "pacchi", "pcs", "piece", "pieces", "pieza", "piezas", "pezzo", "pezzi", "peca", "pecas",
        "pair", "pairs", "paar", "paire", "paires", "qty", "quantity", "quart", "quarts", "size", "sizes", "grosse",
        "taille", "tailles", "talla", "tallas", "taglia", "taglie", "maat", "rozmiar", "stuck", "stucke", "stuks",
        "unidad", "unidades", "unidade", "uds", "ud", "sztuk", "sztuki", "kpl", "watt", "watts", "volt", "volts",
        "zoll", "pouce", "pouces", "pulgada", "pulgadas", "pollici", "oz", "tbsp", "tsp", "gb", "mb", "tb", "kb",
        "mhz", "ghz", "hz", "khz", "kw", "kwh", "mah", "rpm", "dpi", "psi", "btu", "aantal", "stycken", "confezione",
        "confezioni", "опак", "упак", "уп", "литр", "литра", "литров", "грамм", "граммов", "штук", "штука",
        "リットル", "ミリリットル", "グラム", "キロ", "センチ", "ミリ", "パック", "個入り", "枚入り", "本入り",
        "개입", "매입", "리터", "그램", "毫升", "升", "公升", "克", "公克", "千克", "公斤", "斤", "市斤", "吨",
        "毫克", "微克", "毫米", "厘米", "公分", "英寸", "平方米", "平米", "盎司", "磅", "加仑", "尺码", "尺寸",
        "均码", "大号", "中号", "小号", "加大号", "特大号", "规格", "装", "裝", "包装", "包裝", "散装", "整箱",
    }
)  # fmt: skip
"""Units and pack words that have vowels, or are Chinese, Japanese or Korean; without case and accents."""

COUNTED_WORDS = frozenset(
    {
        "bags", "bars", "beutel", "blatt", "blikken", "boites", "bolsas", "botella", "botellas", "bottiglie",
        "bottle", "bottles", "bouteille", "bouteilles", "boxes", "butelek", "cajas", "can", "canettes", "cans",
        "capsules", "cartons", "cases", "cups", "dose", "dosen", "feet", "flasche", "flaschen", "flessen", "foot",
        "jar", "jars", "lata", "latas", "lattine", "metro", "metros", "pints", "ply", "pods", "pouches", "roll",
        "rolle", "rollen", "rollos", "rolls", "rotoli", "rouleaux", "sachets", "scatole", "sheets", "sticks",
        "tablets", "tins", "tubes", "yards",
    }
)  # fmt: skip
"""Words that say how much only behind a number: `6 bottles`, but `water bottles`."""

KNOWN_NAMES = frozenset(
    {
        "bbq", "bmw", "bmx", "cbd", "cctv", "cd", "cds", "dj", "dslr", "dvd", "dvds", "dvr", "gps", "hdd", "hp",
        "jbl", "lcd", "lg", "mdf", "mtb", "nba", "nfl", "nhl", "pvc", "rpg", "rv", "sd", "spf", "ssd", "tnt", "tv",
        "tvs", "vhs", "vr", "3d", "mp3", "mp4", "ps1", "ps2", "ps3", "ps4", "ps5",
    }
)  # fmt: skip
"""Names without vowels, or with digits, that shoppers know."""

_VOWELS = re.compile("[aeiouyæœøıəаеиоуыэюяіє\u03b1\u03b5\u03b7\u03b9\u03bf\u03c5\u03c9]")
_SPELT_WITH_VOWELS = re.compile("[a-zæœøßþðđħłŋıə\u03b1-\u03c9\u0430-\u045f]{2,}")
_SIZE = re.compile(r"x{0,4}[sml]|x{1,4}[sl]")
_FEW_DIGITS = re.compile(r"([^\W\d_]{4,})\d{1,2}")
"""A name with a number, as `iphone12` or `omega3`; every other mixture is a measure or a model."""
_NUMERALS = "一二两兩三四五六七八九十百千半几幾0-9"
_HAN_MEASURES = "".join(sorted(MEASURE_WORDS)) + "個隻張條顆雙"
_HAN_AMOUNT = re.compile(rf"[{_NUMERALS}]+[{_HAN_MEASURES}]?[装裝]?|[{_HAN_MEASURES}]+[装裝]|[装裝].?")

_CODE = re.compile(r"[^\W_]+(?:[-/._+*×][^\W_]+)+")
_CODE_PART = re.compile(r"[^\W_]+")
_SHORT = 3
"""Letters of a part of a code: `WH` of `WH-1000XM4`, but not `OMEGA` of `OMEGA-3`."""
_BEHIND_NUMBER = re.compile(r"(?<![^\W_])(?<!-)(\d[\d.,]*\s*-?\s*)([^\W\d_]+)(\.?)")
_HAN_BEHIND_NUMBER = re.compile(
    rf"(\d[\d.,]*)\s*(?:毫升|公升|千克|公斤|公克|毫克|英寸|厘米|毫米|公分|平方米|盎司|加仑|[克升斤磅{_HAN_MEASURES}])[装裝]"
)


def extract_salient_keywords(text: str) -> list[Keyword]:
    """The keywords of a text without amounts, units, pack words, sizes, model numbers and a shop's shorthand."""
    normal = _remove_amounts(normalise_text(text))
    shouted = _is_in_capitals(normal)
    return [word for word in extract_keywords(normal) if is_salient(word.surface, shouted=shouted)]


@lru_cache(maxsize=1 << 16)
def is_salient(word: str, *, shouted: bool = False) -> bool:
    """Tell whether a word names something.

    Args:
        word: as `extract_keywords` spells it.
        shouted: whether its text is in capitals, so that they mark no acronym.
    """
    plain = _fold_case_and_accents(word)
    if plain in KNOWN_NAMES:
        return True
    if plain in AMOUNT_WORDS or _SIZE.fullmatch(plain) or _HAN_AMOUNT.fullmatch(plain):
        return False
    if any(character.isdigit() for character in plain):
        name = _FEW_DIGITS.fullmatch(plain)
        return name is not None and not _is_shorthand(name[1])
    return not _is_shorthand(plain) or (word.isupper() and not shouted)


def _is_shorthand(plain: str) -> bool:
    """Tell whether a word of an alphabet with vowels has none: `sft`, `btl`, `шт`."""
    return bool(_SPELT_WITH_VOWELS.fullmatch(plain)) and not _VOWELS.search(plain)


def _fold_case_and_accents(word: str) -> str:
    """A word without case and accents. Kana and Hangul keep their marks, which are letters there."""
    folded = word.casefold()
    if not folded.isascii() and _is_european(folded):
        folded = "".join(each for each in unicodedata.normalize("NFD", folded) if not unicodedata.combining(each))
    return folded


def _is_european(word: str) -> bool:
    return all(character < "\u0530" or "\u1e00" <= character < "\u2000" for character in word)


def _is_in_capitals(text: str) -> bool:
    """Tell whether more letters of a text are capitals than not."""
    capitals = sum(map(str.isupper, text))
    return capitals > sum(map(str.islower, text))


def _remove_amounts(text: str) -> str:
    """A text without what only its neighbours tell to be an amount or a model number."""
    text = _HAN_BEHIND_NUMBER.sub(" ", _CODE.sub(_remove_code_prefix, text))
    return _BEHIND_NUMBER.sub(_remove_counted_word, text)


def _remove_code_prefix(match: re.Match[str]) -> str:
    """Drops the short capitals of a word whose parts are joined, if another part has digits."""
    code = match.group()
    if not any(map(str.isdigit, code)):
        return code
    return _CODE_PART.sub(lambda part: " " if _is_code_prefix(part.group()) else part.group(), code)


def _is_code_prefix(part: str) -> bool:
    return len(part) <= _SHORT and part.isupper() and part.casefold() not in KNOWN_NAMES


def _remove_counted_word(match: re.Match[str]) -> str:
    """Drops a word behind a number, if it is counted or abbreviated."""
    number, word, dot = match.groups()
    abbreviated = bool(dot) and len(word) <= _SHORT
    return number if abbreviated or _fold_case_and_accents(word) in COUNTED_WORDS else match.group()
