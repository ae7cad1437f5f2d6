"""Units and currencies behind a number: what they measure, and how much of it."""

import re
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

PREFIXES = {
    "k": Fraction(1000),
    "c": Fraction(1, 100),
    "m": Fraction(1, 1000),
    "d": Fraction(1, 10),
    "μ": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
}
PREFIXED = {"m", "g", "s", "L", "l", "N", "J", "W", "V", "Hz", "Pa", "A", "mol", "Ω", "cal", "eV"}
NAMES = {  # what people call a unit, in lower case
    "m": "metre metres meter meters",
    "km": "kilometre kilometres kilometer kilometers kms",
    "cm": "centimetre centimetres centimeter centimeters cms",
    "mm": "millimetre millimetres millimeter millimeters",
    "g": "gram grams gramme grammes",
    "kg": "kilogram kilograms kilogramme kilogrammes kilo kilos kgs",
    "mg": "milligram milligrams",
    "t": "tonne tonnes",
    "s": "second seconds sec secs",
    "ms": "millisecond milliseconds",
    "min": "minute minutes mins",
    "h": "hour hours hr hrs",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years",
    "L": "litre litres liter liters",
    "mL": "millilitre millilitres milliliter milliliters ml",
    "inch": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards",
    "mi": "mile miles",
    "lb": "pound pounds lbs",
    "oz": "ounce ounces",
    "°": "degree degrees",
    "$": "dollar dollars usd",
    "¢": "cent cents",
    "€": "euro euros eur",
    "£": "gbp",
    "¥": "yen yuan jpy rmb cny",
    "₹": "rupee rupees inr",
    "CHF": "chf",
    "°C": "celsius",
    "°F": "fahrenheit",
    "K": "kelvin",
    "N": "newtons",
    "J": "joules",
    "W": "watts",
    "V": "volts",
    "Ω": "ohms",
    "kWh": "kwh",
}
WORDS = {name: unit for unit, names in NAMES.items() for name in names.split()}
ALONE = ("month", "year", "°", "°C", "°F", "K", "$", "€", "£", "¥", "₹", "CHF", "kr")
FIXED: dict[str, tuple[str, int, int | Fraction]] = {  # of what, its power, and how much of it
    "min": ("s", 1, 60),
    "h": ("s", 1, 3600),
    "day": ("s", 1, 86400),
    "week": ("s", 1, 604800),
    "inch": ("m", 1, Fraction(254, 10000)),
    "ft": ("m", 1, Fraction(3048, 10000)),
    "yd": ("m", 1, Fraction(9144, 10000)),
    "mi": ("m", 1, Fraction(1609344, 1000)),
    "lb": ("g", 1, Fraction(45359237, 100000)),
    "oz": ("g", 1, Fraction(45359237, 1600000)),
    "t": ("g", 1, 10**6),
    "kWh": ("J", 1, 3600000),
    "ha": ("m", 2, 10**4),
    "¢": ("$", 1, Fraction(1, 100)),
    **{name: (name, 1, 1) for name in ALONE},
}
CURRENCY = r"US\$|[$€£¥₹]|\b(?:USD|EUR|GBP|JPY|INR|CNY|CHF)\b"
NAME = r"(?:°\s?[CF]\b|[°¢€£¥₹$Ω]|[A-Za-zμ]+)"
ATOM = re.compile(
    rf"(square |cubic |sq\.? )?({NAME})(?:\s?\^?\s?[({{]*([-+]?\d)[)}}]*(?![\d.,]))?", re.I
)
JOIN = re.compile(r"\s?(/|\bper\b|[·*⋅]|\\cdot|-(?=[a-zA-Z])|(?=[a-zA-Z]))\s?")


class Unit(NamedTuple):
    """What is measured, each with its power, and how much of it one of this unit is."""

    dimensions: tuple[tuple[str, int], ...]
    size: Fraction
    name: str


def unit_at(text: str) -> tuple[Unit, int] | None:
    """Read the unit that a text begins with, and where it ends; None where there is none.

    >>> unit, end = unit_at("km/h, they say")
    >>> unit.dimensions, unit.size, end
    ((('m', 1), ('s', -1)), Fraction(5, 18), 4)
    """
    powers: Counter[str] = Counter()
    size, place, sign = Fraction(1), 0, 1
    while atom := ATOM.match(text, place):
        measure = _atom(atom[2])
        if measure is None:
            break
        base, power, factor = measure
        times = {"squ": 2, "sq": 2, "sq.": 2, "cub": 3}.get((atom[1] or "").strip().lower()[:3], 1)
        times = int(atom[3]) if atom[3] else times
        powers[base] += sign * power * times
        size *= factor ** (sign * times)
        end = atom.end()
        join = JOIN.match(text, end)
        if not join or not ATOM.match(text, join.end()):
            break
        sign = -1 if join[1] in ("/", "per") else 1
        place = join.end()
    else:
        end = place
    if not powers:
        return None
    name = text[:end].strip()
    return Unit(tuple(sorted((n, p) for n, p in powers.items() if p)), size, name), end


def _atom(name: str) -> tuple[str, int, Fraction] | None:
    """What one name measures, its power and its size."""
    name = re.sub(r"\s", "", name)
    name = WORDS.get(name.lower(), name)
    if name in FIXED:
        base, power, factor = FIXED[name]
        return base, power, Fraction(factor)
    for prefix in ("", *PREFIXES):
        rest = name.removeprefix(prefix)
        if name.startswith(prefix) and rest in PREFIXED:
            factor = PREFIXES.get(prefix, Fraction(1))
            return ("m", 3, factor / 1000) if rest in ("L", "l") else (rest, 1, factor)
    return None
