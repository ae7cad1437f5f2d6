"""Answers as people write them: what a verifier has to accept, and what it never may."""

import time

import pytest

from distill_lab.synthesis import verifiers
from distill_lab.synthesis.verifiers.answers import read_final_answer
from distill_lab.synthesis.verifiers.equality import equal_everywhere, same_mathematics
from distill_lab.synthesis.verifiers.figures import number
from distill_lab.synthesis.verifiers.verdicts import UndecidedError

SENTIMENT = verifiers.label(["positive", "negative", "neutral"], "answer")
ENTAILS = verifiers.label(["entailment", "not entailment"], "answer")
YES = verifiers.label(["yes", "no"], "answer")
KINDS = {
    "numeric": verifiers.numeric(),
    "mathematical": verifiers.mathematical(),
    "exact": verifiers.exact(),
    "contains": verifiers.contains(),
    "choice": verifiers.choice(),
    "listed": verifiers.listed(),
    "date": verifiers.date(),
    "sentiment": SENTIMENT,
    "entails": ENTAILS,
    "yes": YES,
}

# A verifier, what is right, and answers that are; then answers that are not, or cannot be decided.
NUMBERS = [
    (4, "The answer is 4. I checked 3 times."),
    (4, "**Answer:** 4"),
    (4, "**Answer**: **4** apples"),
    (4, "Final answer:\n\n4"),
    (4, "## Answer\n4"),
    (4, "<think>The answer is 5?</think>The answer is 4."),
    (4, r"First \boxed{3}, no: \boxed{4}."),
    (4, r"The answer is $\boxed{4}$, as 2 + 2 = 4 and 1 + 3 = 4."),
    (4, "The answer to the 2nd question is 4."),
    (4, "It is not 5, it is 4."),
    (4, "It's 4 (2 pairs of 2)."),
    (4, "Total: 4\n\nI hope this helps! Ask me 100 more."),
    (4, "答案是 4。"),
    (42, "so\n#### 42"),
    (42, "#### 42\nI checked it with 3 methods."),
    (42, "#### Step 1\n40 + 2\n#### Step 2\nThe sum is 42"),
    (18, "16 - 3 - 4 = 9 eggs, so she makes 9 * 2 = $18 every day."),
    (7, "The answer is 3 + 4 = 7."),
    (7, "The answer is 3 + 4."),
    (7, "Answer: 7 of the 12 eggs"),
    (1234567, "1,234,567"),
    (1234567, "1.234.567"),
    (1234567, "1 234 567"),
    (1234567, "1\u202f234\u202f567"),
    (1234567, "1'234'567"),
    (1234567, "12,34,567"),
    (1234567, r"1{,}234{,}567"),
    (1234.5, "1.234,5"),
    (1234.5, "1,234.50"),
    (3.14, "3,14"),
    (0.123, "0,123"),
    (0.5, ".5"),
    (-3, "−3"),
    (-3, "minus 3"),
    (-3, "The answer is -3."),
    (-3, "x = -3"),
    (-3, "x = - 3"),
    (-5, "-$5"),
    (-5, "$-5"),
    (0.75, "3/4"),
    (0.75, "¾"),
    (0.75, r"\frac{3}{4}"),
    (0.75, r"\boxed{\dfrac34}"),
    (-0.75, r"$-\frac{3}{4}$"),
    (-0.75, r"\frac{-3}{4}"),
    (1.5, "1 1/2"),
    (1.5, "1½ cups"),
    (1.5, r"1\frac{1}{2}"),
    (1500000, "1.5e6"),
    (1500000, "1.5 × 10^6"),
    (1500000, r"1.5 \times 10^{6}"),
    (1500000, "1.5·10⁶"),
    (1500000, "1.5 million"),
    (0.0015, "1.5 x 10^-3"),
    (1024, "2^10"),
    (4, r"\sqrt{16}"),
    (0.25, "25%"),
    (25, "25 %"),
    ("25%", "0.25"),
    ("25%", "25"),
    ("25%", r"25\%"),
    ("25 %", "25 per cent"),
    (1234.5, "$1,234.50"),
    (1234.5, "1.234,50 €"),
    (1234.5, "EUR 1,234.50"),
    (18, r"\$18"),
    ("$18", "18 dollars"),
    ("$18", "The answer is $18$"),
    (1500000, "$1.5M"),
    (12, "12 cm^2"),
    (12, "12 cm²"),
    (12, r"12\text{ cm}^2"),
    ("12 cm^2", "12 square centimetres"),
    ("12 cm^2", "12"),
    ("5 m/s", "18 km/h"),
    ("5 m/s", "5 m s^-1"),
    ("1.2 km", "1200 m"),
    ("90 minutes", "1 hour and 30 minutes"),
    ("45°", r"45^\circ"),
    (["7", "8"], "8"),
    ("She sells 48/2 = 24.\n#### 24", "24"),
    (1234.56, "1 234,56"),
    (8, "Final answer - 8"),
    (8, "The correct answer is 8, not 9."),
    (3, "Answer: 3 out of 10"),
    ("$2.50", "250 cents"),
    ("9.8 m/s^2", r"9.8\ \text{m/s}^2"),
    (540, "He runs 3*3=9 sprints a week, so he runs 9*60 = 540 meters a week."),
    (160, "It takes 2 hours and 40 minutes = 160 minutes"),
    (20, "\\[\n\\boxed{20 \\text{ cups}}\n\\]"),
    (5, "The answer is (B) 5."),
    (5, "Step 1: 2+3\nStep 2: 5"),
    (5, "<answer>5</answer>"),
    (5, "```\n5\n```"),
    (5, '{"answer": 5}'),
    (5, "Hence x equals 5."),
    (2005, "It was built in 1999 and torn down in 2005."),
    (3e6, "about 3 million people"),
]
NO_NUMBERS = [
    (3, "The answer is 4. I checked 3 times."),
    (5, "<think>The answer is 5.</think>The answer is 4."),
    (5, "It is not 5, it is 4."),
    (5, "The answer isn't 5."),
    (2, "12 cm^2"),
    (2, "12 cm²"),
    (2, "5 m/s^2"),
    (2, "CO2"),
    (2, "x_2"),
    (3, "-3"),
    (3, "−3"),
    (3, "minus 3"),
    (-3, "3"),
    (3, "x + 3"),
    (3, "3x"),
    (3, "x - 3"),
    (3, "GPT-3"),
    (3, "x^3"),
    (3, "5-3"),
    (7, "7 or 8"),
    (8, "7 or 8"),
    (8, "between 7 and 8"),
    (8, "The answer is 7 to 8."),
    (8, "7, 8"),
    (5, "more than 5"),
    (5, "at least 5"),
    (5, "x < 5"),
    (5, "Is it 5?"),
    (5, "- 5"),  # a bullet or a minus
    (0.5, "0.5%"),
    (5, "0.05%"),
    ("5%", "0.5"),
    ("$5", "€5"),
    ("12 cm", "12 m"),
    ("12 cm", "12 cm^2"),
    ("5 m/s", "5 km/h"),
    (1.234, "1,234"),
    (1, "1.2.3"),
    (3, "3:45"),
    (2024, "2024-03-12"),
    (1, "1/0"),
    (4, "four"),
    (4, ""),
    (4, "<think>4</think>"),
    (4, "<think>it is 4"),
    (0, "1e999999999"),
    (0, "9^9^9^9"),
    (1, "9" * 5000),
    (15, "1.5"),
    (150, r"1\frac{1}{2}"),
    (34, r"\frac{3}{4}"),
    (7, "I do not know."),
    (7, "The answer is 5? Perhaps 6."),
    (4, "x=3,y=4"),
    (3, "3±1"),
    (-5, "- 5"),
    (10, "3 out of 10"),
    (12, "7 of the 12 eggs"),
    (9, "The correct answer is 8, not 9."),
    ("20 °C", "20 °F"),
    (3, "3-4"),
    (3, "about 3 million"),
    (3, "log(3)"),
    (10, "Therefore, he earned $10 for 50 minutes."),
    (1999, "It was built in 1999 and torn down in 2005."),
    ("many", "7"),
    (None, "7"),
    (True, "1"),
    (float("nan"), "1"),
]
MATHS = [
    (r"\frac{\sqrt{2}}{2}", r"\boxed{\frac{1}{\sqrt{2}}}"),
    (r"\sqrt{2}/2", "2^(-1/2)"),
    ("x^2 - 1", "(x-1)(x+1)"),
    ("x^2-1", r"\left(x+1\right)\left(x-1\right)"),
    (r"\sin^2 x + \cos^2 x", "1"),
    (r"2\pi", "2π"),
    (r"\frac{1}{2}", "0.5"),
    ("1/2", r"\dfrac{1}{2}"),
    ("5", "x = 5"),
    ("x = 5", "5"),
    ("y = 2x + 1", "y=1+2x"),
    ("2x + y = 3", "4x + 2y = 6"),
    (r"x = \pm 2", r"\{-2, 2\}"),
    ("2, -2", "x = -2 or x = 2"),
    (r"\{1, 2, 3\}", r"\{3, 1, 2\}"),
    ("(1, 2)", r"\left(1, \frac{4}{2}\right)"),
    ("[0, 1)", "[0,1)"),
    (r"(-\infty, 3]", r"x \in (-\infty, 3]"),
    ("x > 3", "3 < x"),
    ("x >= 3", r"x \geq 3"),
    (r"3 + 4i", "4i + 3"),
    (r"\ln(e^2)", "2"),
    (r"\log_{2} 8", "3"),
    ("5!", "120"),
    (r"\sqrt[3]{27}", "3"),
    (r"\text{Evelyn}", r"\boxed{\text{Evelyn}}"),
    ("1,234", "1234"),
    (r"10\%", "10%"),
    (r"12 \text{ cm}", "12 cm"),
    (r"\frac{a+b}{c}", "(b+a)/c"),
    (r"f(x) = x^2", "f(x)=x*x"),
    ("x_1 + x_2", "x_2 + x_1"),
    ("|x|", "sqrt(x^2)"),
    ("e^{2x}", "(e^x)^2"),
    (r"4\sqrt{3}", r"\sqrt{48}"),
    (r"2\sqrt{3}", "2√3"),
    (r"\sin(x)", "sin x"),
    ("y = x", "x = y"),
    (r"e^{i\pi}", "-1"),
    (r"3\frac{1}{2}", "7/2"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("2516_8", "2516_8"),
    (r"(-\infty,2)\cup(3,\infty)", r"(-\infty, 2) \cup (3, \infty)"),
]
NO_MATHS = [
    (r"\frac{\sqrt{2}}{2}", r"\frac{\sqrt{3}}{2}"),
    ("x^2 - 1", "(x-1)^2"),
    ("x", "sqrt(x^2)"),
    ("x + 1", "x - 1"),
    ("5", "x = 5 or x = 6"),
    ("x = 5", "y = 5"),
    ("y = 2x + 1", "y = 2x - 1"),
    ("2x + y = 3", "4x + 2y = 7"),
    (r"\{1, 2\}", r"\{1, 2, 3\}"),
    (r"\{1, 1, 2\}", r"\{1, 2, 2\}"),
    ("(1, 2)", "(2, 1)"),
    ("(0, 1)", "[0, 1]"),
    ("[0, 1)", "(0, 1]"),
    ("x > 3", "x < 3"),
    ("x > 3", r"x \geq 3"),
    ("x > 3", "3"),
    (r"\sqrt{2}", "1.414"),
    (r"\frac{1}{3}", "0.333"),
    (r"3 + 4i", "3 - 4i"),
    ("cat", "act"),
    (r"\text{Evelyn}", r"\text{Angela}"),
    ("10%", "10.1%"),
    ("12 cm", "12 m"),
    ("2", r"12 \text{ cm}^2"),
    ("2x", "2^x"),
    ("x y", "x + y"),
    ("2516_8", "2516"),
    (r"(-\infty,2)\cup(3,\infty)", r"(-\infty, 2) \cup (4, \infty)"),
    ("p - q", "q - p"),
    ("x = 2y", "y = 2x"),
    (r"\infty", r"-\infty"),
    ("x=1, y=2", "x=2, y=1"),
    ("1", "1/x"),
    ("__import__('os')", "x"),
    ("9^9^9^9", "9^(9^(9^9))+1"),
    ("exp(exp(exp(exp(9))))", "1"),
    ("(" * 500 + "x", "x"),
    ("x" + "+1" * 2000, "x"),
    ("4", ""),
]
WORDS = [
    ("exact", "Paris", "The answer is Paris. It lies in France."),
    ("exact", "Paris", r"\boxed{\text{Paris}}"),
    ("exact", "St. Petersburg", "The answer is St. Petersburg."),
    ("exact", "café", "Answer: cafe\u0301"),
    ("exact", "Yes. It is.", "Answer: Yes. It is."),
    ("contains", "Oslo", "He lived in Oslo then."),
    ("exact", "Paris", "<think>Rome</think><answer>Paris</answer>"),
    ("exact", "Paris", '{"answer": "Paris"}'),
    ("sentiment", "negative", "I would not say it is positive; it is negative."),
    ("sentiment", "positive", "never negative, always positive"),
    ("choice", "C", "The correct option is C."),
    ("choice", "C", "I think it's C"),
    ("listed", ["cat", "dog"], "They are:\n1. dog\n2. cat"),
    ("contains", "no cure", "There is no cure for it."),
    ("sentiment", "positive", "The review is not negative but positive."),
    ("sentiment", "positive", "Sentiment: **Positive**"),
    ("sentiment", "neutral", "It is neither positive nor negative: neutral."),
    ("sentiment", "positive", "positive, not negative"),
    ("entails", "not entailment", "The label is: not entailment"),
    ("yes", "no", "No, it is not."),
    ("choice", "B", "**Answer:** B)"),
    ("choice", "B", "B"),
    ("choice", "B", "(b)"),
    ("choice", "B", r"$\boxed{\text{B}}$"),
    ("choice", "B", "The correct answer is (B) because (A) is wrong."),
    ("choice", "B", "I choose option B."),
    ("choice", "B", "B. Paris"),
    ("choice", "B", "Not (A), so (B)."),
    ("choice", "B) Paris", "B"),
    ("listed", "2, 3, 5", "The primes are:\nAnswer: 5, 3 and 2"),
    ("listed", ["a", "b"], "Answer:\n- b\n- a"),
    ("listed", [2, 3], r"\boxed{2} and \boxed{3}"),
    ("listed", "2,3", "{3, 2}"),
    ("listed", ["1,000", "2"], "2, 1,000"),
    ("date", "2024-03-12", "March 12th, 2024"),
    ("date", "2024-03-12", "12.03.2024"),
    ("date", "2024-03-13", "3/13/2024"),
    ("date", "12 March 2024", "It was on 2024/03/12."),
    ("date", "2024-03-03", "3/3/2024"),
]
NO_WORDS = [
    ("exact", "Paris", "The answer is London, not Paris."),
    ("exact", "4", "14"),
    ("exact", "", ""),
    ("contains", "Oslo", "It was not in Oslo."),
    ("contains", "Bergen", "in Oslo rather than Bergen"),
    ("contains", "Oslo", "Oslofjord"),
    ("sentiment", "positive", "This is not positive."),
    ("sentiment", "positive", "The review isn't a very positive one."),
    ("sentiment", "positive", "neither positive nor negative"),
    ("sentiment", "positive", "positive or negative"),
    ("sentiment", "positive", "I would not say it is positive."),
    ("sentiment", "positive", "non-positive"),
    ("sentiment", "positive", "positively awful"),
    ("choice", "C", "C is wrong"),
    ("choice", "C", "I would go with D"),
    ("sentiment", "positive", "Is it positive?"),
    ("sentiment", "positive", "<think>positive</think>negative"),
    ("entails", "entailment", "not entailment"),
    ("yes", "yes", "yes and no"),
    ("choice", "A", "A dog is an animal."),
    ("choice", "A", "The answer is (B), not (A)."),
    ("choice", "A", "A and B"),
    ("choice", "A", "A or B"),
    ("choice", "A", "It cannot be (A)."),
    ("choice", "A", "(A) is tempting, (B) too"),
    ("choice", "A", "none of these"),
    ("choice", "one", "A"),
    ("listed", "2, 3, 5", "2, 3"),
    ("listed", "2, 3, 5", "2, 3, 5, 7"),
    ("listed", "2, 3, 5", "2, 3, 3"),
    ("listed", ["3 apples", "2 pears"], "3 pears, 2 apples"),
    ("date", "2024-03-12", "12 March 2023"),
    ("date", "2024-03-04", "3/4/2024"),
    ("date", "2024-03-12", "12 or 13 March 2024"),
    ("date", "2024-03-12", "12 March 2024 or 13 March 2024"),
    ("date", "2024-02-30", "30 February 2024"),
    ("date", "2024-03-12", "in March"),
]
CASES = [
    *(("numeric", right, answer, True) for right, answer in NUMBERS),
    *(("numeric", right, answer, False) for right, answer in NO_NUMBERS),
    *(("mathematical", right, answer, True) for right, answer in MATHS),
    *(("mathematical", right, answer, False) for right, answer in NO_MATHS),
    *((*case, True) for case in WORDS),
    *((*case, False) for case in NO_WORDS),
]


@pytest.mark.parametrize(
    ("kind", "right", "answer", "ok"), CASES, ids=lambda value: str(value)[:30].replace("::", ":")
)
def test_an_answer_is_read_as_people_write_it(kind, right, answer, ok):
    verdict = KINDS[kind]({"answer": answer, "about": {"answer": right}})
    assert verdict.ok is ok, verdict.reason
    assert bool(verdict.reason) is not ok  # a reason exactly where it is rejected


@pytest.mark.parametrize(
    ("text", "final", "marked"),
    [
        ("The answer is St. Petersburg. It is cold.", "St. Petersburg", True),
        ("So 4.\nThe answer is correct.", "The answer is correct", False),
        (r"\boxed{\frac{1}{2}} or \boxed{3}", r"\frac{1}{2}, 3", True),
        (r"\boxed{1} then \boxed{2}", "2", True),
        (r"It is \boxed 7", "7", True),
        (r"\boxed{never closed", r"\boxed{never closed", False),
        ("Answer:\n1. red\n2. blue\n", "red; blue", True),
        ("Answer: 4\nAnswer: 5", "5", True),
        ("one\n\ntwo\n\nLet me know!", "two", False),
        ("", "", False),
    ],
)
def test_where_an_answer_stands(text, final, marked):
    found = read_final_answer(text)
    assert (found.text, found.marked) == (final, marked)


def test_what_cannot_be_decided_says_so():
    for verify, right, answer, words in (
        (verifiers.numeric(), 7, "7 or 8", "cannot be decided: it gives several numbers, '7 or 8'"),
        (verifiers.numeric(), 5, "more than 5", "it gives a bound"),
        (verifiers.numeric(), 5, "1.2.5", "'1.2.5' is no number that can be read"),
        (verifiers.numeric(), "5 cm", "5 m", "answered 5 m, not 5 cm"),
        (verifiers.numeric(), 0.5, "0.5%", "answered 0.5%, not 0.5"),
        (verifiers.mathematical(), "x", "9^9^9^9", "a power so large is not calculated"),
        (verifiers.mathematical(), "x", "a fish", "'a fish' is words, no mathematics"),
        (verifiers.date(), "2024-03-04", "3/4/2024", "may be two dates: say day_first"),
        (verifiers.choice(), "A", "A or B", "it names several letters"),
        (SENTIMENT, "positive", "not positive", "denies 'positive' and names no other label"),
        (SENTIMENT, "positive", "<think>positive", "no answer: it is empty"),
    ):
        verdict = verify({"answer": answer, "about": {"answer": right}})
        assert not verdict.ok and words in verdict.reason, verdict
    day_first = verifiers.date(day_first=True)
    assert day_first({"answer": "3/4/2024", "about": {"answer": "2024-04-03"}}).ok
    with pytest.raises(ValueError, match='a row is a dict with an "answer"'):
        verifiers.numeric()({"about": {"answer": 1}})


def test_settings_are_checked():
    with pytest.raises(ValueError, match="tolerance must be 0 or more"):
        verifiers.listed(tolerance=-1)
    with pytest.raises(ValueError, match="letters must be two capitals"):
        verifiers.choice("a")
    ordered = verifiers.listed(ordered=True)
    row = {"about": {"answer": ["a", "b"]}}
    assert ordered(row | {"answer": "a, b"}).ok and not ordered(row | {"answer": "b, a"}).ok


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "$" * 20_000,
        "1," * 5_000,
        "1 " * 5_000,
        "\\boxed{" * 5_000,
        "*a" * 10_000,
        "answer " * 3_000,
        "a. " * 5_000,
        "2^" * 400 + "2",
        "-" * 900 + "1",
        "sin" * 300 + "(x)",
        "\\frac" * 190 + "1",
        "(1+" * 50 + "x" + ")^9" * 50,
        "exp(" * 30 + "9" + ")" * 30,
        "1000!" * 150,
    ],
    ids=lambda text: text[:8],
)
def test_no_answer_takes_long(text):
    """Whatever a teacher writes: no text is executed, none makes us wait."""
    begun = time.process_time()
    for verify in KINDS.values():
        assert not verify({"answer": text, "about": {"answer": "12"}}).ok
    assert time.process_time() - begun < 2


def test_expressions_are_compared_and_never_executed():
    assert equal_everywhere("(x+1)^3", "x^3 + 3x^2 + 3x + 1")
    assert not equal_everywhere("(x+1)^3", "x^3 + 3x^2 + 3x + 1.0000000001")
    assert same_mathematics("x = 3", "3") and not same_mathematics("x = 3", "y = 3")
    for hostile in ("__import__('os').system('touch x')", "x.__class__", "lambda: 0", r"\input{a}"):
        with pytest.raises(UndecidedError):
            equal_everywhere(hostile, "x")
    with pytest.raises(UndecidedError, match="no value at most points"):
        equal_everywhere("1/(x-x)", "1")
    assert number("1,234") == 1234 and number("1,23") == pytest.approx(1.23)
