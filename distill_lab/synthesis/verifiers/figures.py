"""Numbers in figures: separators of several countries, fractions, powers."""

import re
import unicodedata
from fractions import Fraction

from distill_lab.synthesis.verifiers.answers import undressed
from distill_lab.synthesis.verifiers.units import CURRENCY

LARGEST = 400  # digits of a number, and powers of ten: more is an attack on our time
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
FRACTION = r"\\frac\s*(?:\{\s*([-+]?[\d.,]+)\s*\}\s*\{\s*([-+]?[\d.,]+)\s*\}|(\d)\s*(\d))"
DIGITS = r"(?:\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,'’:]\d+)*|(?<!\d)[.]\d+)"
FORMS = (  # a number, and what separates its groups and its decimals
    (re.compile(r"\d+(?:\.\d+)?|\.\d+"), "", "."),
    (re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"), ",", "."),
    (re.compile(r"[1-9]\d?(?:,\d{2})*,\d{3}(?:\.\d+)?"), ",", "."),  # as in India
    (re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d+)?|[1-9]\d{0,2}(?:\.\d{3})+,\d+"), ".", ","),
    (re.compile(r"[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?"), " ", "."),
    (re.compile(r"[1-9]\d{0,2}(?: \d{3})+,\d+"), " ", ","),
    (re.compile(r"[1-9]\d{0,2}(?:['’]\d{3})+(?:\.\d+)?"), "'", "."),
    (re.compile(r"\d+,\d+"), "", ","),
)
NUMBER = re.compile(
    rf"(?P<sign>(?:(?<![\w)\]}}])[-+]\s?|\b(?i:minus|negative)\s+)?)"
    rf"(?:(?P<money>(?:{CURRENCY})\s?)(?P<inner>-?))?"
    rf"(?<![A-Za-z0-9_^.,])(?<!\^[{{(])(?<!_[{{(])(?P<digits>{DIGITS})"
    rf"(?:\s(?P<top>\d{{1,4}})/(?P<bottom>\d{{1,4}})(?![\d/])|\s?/\s?(?P<under>{DIGITS})(?![\d/]))?"
    r"(?P<exponent>[eE][-+]?\d+(?!\w)|\s?(?:×|x|\*|·|⋅|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?[{(]?"
    r"\s?[-+]?\d+\s?[)}]?)?"
    r"(?:(?:\^|\*\*)\s?[{(]?\s?(?P<power>[-+]?\d+)\s?[)}]?)?"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?"
)


def spelled(text: str) -> str:
    """Bring signs that look or mean alike into one form: minus, raised figures, fractions."""
    text = re.sub(r"\\d?t?frac\b", r"\\frac", undressed(text))
    raised = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
    text = raised.sub(lambda m: f"^{m[0].translate(RAISED)}", text)
    text = re.sub(r"(\d)\s?([¼-¾⅐-⅞])", r"\1 \2", text)
    text = unicodedata.normalize("NFKC", text).translate(str.maketrans("⁄−٫٬", "/-.,"))
    text = re.sub(r"(?<![\d\w])[–—](?=[\d.$€£])", "-", text)
    text = re.sub(rf"(\d)\s*(?={FRACTION})", r"\1 ", text)
    return re.sub(FRACTION, lambda m: f"{m[1] or m[3]}/{m[2] or m[4]}".replace("/-", "/ -"), text)


def value_of(match: re.Match[str]) -> Fraction | None:
    """Calculate what `NUMBER` has found: sign, fraction, powers; None for what is no number."""
    value = number(match["digits"])
    if value is None:
        return None
    if match["under"] or match["bottom"]:
        below = number(match["under"] or match["bottom"])
        if not below:
            return None
        if match["top"]:
            if value.denominator != 1 or "." in match["digits"] or int(match["top"]) >= below:
                return None
            value += int(match["top"]) / below
        else:
            value /= below
    for name, base in (("exponent", Fraction(10)), ("power", None)):
        if match[name]:
            power = int(re.findall(r"[-+]?\d+", match[name])[-1])
            if abs(power) > LARGEST or (base is None and (not value and power < 0)):
                return None
            value = value * base**power if base else value**power
    negative = match["sign"].strip().lower() in ("-", "minus", "negative")
    return -value if negative != bool(match["inner"]) else value


def number(digits: str) -> Fraction | None:
    """Read figures with their separators, exactly; None for what is no number, such as 1.2.3.

    A comma before three figures separates thousands; another one, decimals.

    >>> [number(text) for text in ("1,234.5", "1.234.567", "3,14", "1.2.3")]
    [Fraction(2469, 2), Fraction(1234567, 1), Fraction(157, 50), None]
    """
    if len(digits) > LARGEST:
        return None
    digits = digits.replace("’", "'")
    for form, groups, point in FORMS:
        if form.fullmatch(digits):
            return Fraction(digits.replace(groups, "").replace(point, "."))
    return None
