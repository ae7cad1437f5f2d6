"""What a notebook types to teach: `Lesson`, with predict, reveal, expect, claim and close."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_lab.course import claim_card, notes, recall
from distill_lab.course import profile as profiles
from distill_lab.course.check import check
from distill_lab.course.claim import Claim
from distill_lab.course.clock import busy_seconds
from distill_lab.course.journal import headless, journal_path, note, read
from distill_lab.course.lessons import lessons_here
from distill_lab.course.options import Bins
from distill_lab.course.predict import Predictions
from distill_lab.course.progress import as_text, measure, summary
from distill_lab.course.records import (
    GREEN,
    GREY,
    PURPLE,
    badge,
    card,
    code_words,
    publish,
    small,
    table,
    true_minus,
)
from distill_lab.course.registered import Registered, read_claims

if TYPE_CHECKING:
    from distill_lab.evaluation.statistics import Interval

__all__ = ["Lesson", "lesson_folder"]


def lesson_folder(number: str) -> Path | None:
    """Find `lesson_NN/`: beside the notebook that runs, on the import path, in the checkout."""
    checkout = Path(__file__).resolve().parents[2] / "notebooks"
    for place in (Path.cwd(), *map(Path, sys.path), checkout):
        folder = place / f"lesson_{number}"
        if folder.is_dir():
            return folder
    return None


class Lesson:
    """One lesson while it runs: its profile, its clock, and the claims it has made so far.

    `name` is the notebook's file name without its ending, such as "11_soft_targets": the first
    digit is the part, the second the lesson, and every claim of it starts with "11.".
    Setting up shows a small header and gives torch one thread.
    Raises ValueError for another form of name, an unknown profile, or a seed that is no integer.

    >>> from distill_lab.course.records import collect
    >>> with collect():
    ...     lesson = Lesson("11_soft_targets", profile="quick", seed=0)
    >>> lesson.pick(quick=5, full=20)
    5
    """

    def __init__(self, name: str, *, profile: str = "quick", seed: int = 0) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"\d\d_[a-z0-9_]+", name):
            raise ValueError(
                f"A lesson is named as its file, two digits and words; got {name!r}. "
                'Write for example Lesson("11_soft_targets", ...).'
            )
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ValueError(f"seed must be an integer; got {seed!r}. SEED = 0 is the usual one.")
        self.name = name
        self.number = name[:2]
        self.profile = profiles.checked(profile)
        self.seed = seed
        self.claims: dict[str, Claim] = {}
        self.predictions = Predictions(self.number)
        self.folder = check.folder = lesson_folder(self.number)
        self._header(profiles.one_thread())
        self._last = busy_seconds()
        note("opened", self.number, profile=self.profile)

    def __repr__(self) -> str:
        return f"Lesson({self.name!r}, profile={self.profile!r}, seed={self.seed})"

    def _header(self, threads: str) -> None:
        used = profiles.versions()
        names = f"Python {used['python']}, torch {used['torch']}, NumPy {used['numpy']}"
        line = f"profile {self.profile} · seed {self.seed} · {names} · {threads}."
        record = {
            "kind": "lesson",
            "lesson": self.name,
            "profile": self.profile,
            "seed": self.seed,
            "versions": used,
        }
        html = card(
            f"<b>Lesson {escape(self.name)}</b>{small(line)}",
            colour=GREY,
            label=f"Lesson {self.name}, profile {self.profile}",
        )
        publish(record, text=f"Lesson {self.name}: {line}", html=html)

    def pick(self, *, quick: Any, full: Any, **hub: Any) -> Any:
        """Choose a value by profile.

        Args:
            quick: In profile quick.
            full: In profile full, and in hub unless that is given.
            hub: In profile hub.

        Returns:
            The value.
        """
        self._same_profile()
        return profiles.pick(self.profile, quick=quick, full=full, **hub)

    def predict(
        self, id: str, question: str, options: Sequence[str] | Bins, *, unit: str | None = None
    ) -> None:
        """Ask the learner before the result is shown; `reveal` with the same id shows it.

        `{"falls": (None, -2), "stays within 2": (-2, 2), "rises": (2, None)}` are bins over the
        number that will be measured; together they must cover it, without an overlap. One option
        may be `None`, for "cannot be told". A plain list of options is for an outcome in words.

        Args:
            id: A name of its own in this lesson, such as "11.missing-digit".
            question: What to predict, in words.
            options: Two or more, as bins or as a list.
            unit: The unit of the number, for the sentence that shows it; without it an interval
                is in points and a number stands alone.

        Raises:
            ValueError: For an id of another form or lesson, one that is asked twice with nobody
                at the keyboard, an empty question, fewer than two different options, or bins that
                overlap or leave a gap.
        """
        self.predictions.ask(id, question, options, unit)

    def reveal(self, id: str, value: Any, because: str = "") -> None:
        """Show what was measured beside what was predicted.

        Args:
            id: The id under which `predict` asked.
            value: What was measured. A number: the bin that holds it, low <= x < high, the last
                one closed. An Interval: the bin that holds its mean; where an option is `None`, a
                bin is chosen only if it holds the whole interval, else that option. A text: the
                option itself. A dict of option to number: the option with the largest number.
                A dict of option to one value a seed: the option whose paired interval over each
                other is above zero; if there is none, the option that the dict leaves out.
            because: A sentence with the figures; without it the measured value is shown.

        Raises:
            ValueError: For an id that was not asked before, or a value that fits none of the
                options or is not finite.
        """
        self.predictions.reveal(id, value, because)

    def recall(self) -> None:
        """Ask three questions on earlier lessons: those that are due, else new ones.

        The questions stand in each lesson's `recall.toml`. With nobody at the keyboard the choice
        is fixed.

        Raises:
            ValueError: For a `recall.toml` that cannot be read.
        """
        earlier = [lesson for lesson in lessons_here() if lesson.number < self.number]
        recall.show(earlier, date.today())

    def expect(self, text: str, ok: Any, *, seen: str = "") -> None:
        """Say what should be seen, and whether it was. A cross never stops the notebook.

        The course runner fails on a cross.

        Args:
            text: What should be seen, in a sentence.
            ok: Whether it was: one truth value.
            seen: The figure that was seen, in words.

        Raises:
            ValueError: If `ok` is several values.
        """
        try:
            ok = bool(ok)
        except (ValueError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"expect needs one truth value for {text!r}; got {type(ok).__name__} ({error}). "
                "Reduce it first: .all(), .any(), or a comparison of two numbers."
            ) from error
        text = str(text).rstrip(".")
        sign, word, colour = ("✓", "as expected", GREEN) if ok else ("✗", "not so here", PURPLE)
        tail = true_minus(f" Seen: {seen}.") if seen else ""
        html = card(
            badge(sign, word, colour=colour) + code_words(f"{text}.{tail}"),
            colour=colour,
            label=f"Check: {word}",
        )
        record = {"kind": "expect", "text": text, "ok": ok, "seen": str(seen)}
        publish(record, text=f"{sign} {word}: {text}.{tail}", html=html)

    def note(self, text: str) -> None:
        """Show a sentence that was formatted from the run, as a paragraph of the lesson.

        Args:
            text: The sentence; `code` and **bold** are marked as in Markdown.

        Raises:
            ValueError: If there is no text.
        """
        notes.show_note(text)

    def interpret(self, id: str, *, holds: str, fails: str, unresolved: str) -> None:
        """Say what a claim's verdict means; the sentence is chosen by the verdict itself.

        Args:
            id: A claim that was made above.
            holds: The sentence where it holds; like the others it may hold `{ours}`,
                `{difference}`, `{finding}` and `{n}`, which are the claim's.
            fails: The sentence where it does not hold here.
            unresolved: The sentence where it cannot be resolved here.

        Raises:
            ValueError: If the claim was not made yet, or a sentence is empty.
        """
        notes.show_interpretation(
            id, self.claims.get(id), holds=holds, fails=fails, unresolved=unresolved
        )

    def folded(self, title: str, content: Any) -> None:
        """Show what only some readers need, folded under its title.

        Args:
            title: What is inside, in a few words.
            content: A text, or an object that shows itself as HTML, such as a report.

        Raises:
            ValueError: If there is no title.
        """
        notes.show_folded(title, content)

    def claim(
        self,
        id: str,
        interval: Interval | float | None = None,
        *,
        ours: str,
        holds: Any = None,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold a published figure against ours, with a verdict and what it cost in seconds.

        What the claim says, what the paper printed and where the difference should lie are fixed
        before the run, in the lesson's `claims.toml`.

        Args:
            id: The claim's id in `claims.toml`, such as "11.missing-digit".
            interval: The difference as an Interval over five or more paired seeds; for an exact
                claim one number or nothing.
            ours: What was measured here, in words and figures.
            holds: For an exact claim, whether it holds; a measured one gets its verdict from the
                interval.
            names: What to fill into the `{NAME}`s of the claim's texts.

        Raises:
            ValueError: For an id that is not in the file or is used twice, an empty `ours`, or a
                value of the wrong kind.
        """
        self._same_profile()
        fixed = self._registered(id).filled(names or {})
        if not str(ours).strip():
            raise ValueError(f"Claim {id} must say in ours= what was measured here.")
        now = busy_seconds()
        made = Claim.made(
            fixed,
            interval,
            holds,
            lesson=self.name,
            ours=ours,
            seconds=round(now - self._last, 3),
            profile=self.profile,
            seed=self.seed,
        )
        self.claims[id] = made
        self._last = now
        publish(made.record(), text=claim_card.as_text(made), html=claim_card.as_html(made))

    def _same_profile(self) -> None:
        """Refuse what would be measured in one profile and shown as another's."""
        now = profiles.of_notebook()
        if now is not None and now != self.profile:
            raise ValueError(
                f"PROFILE is {now!r} now, but this lesson was opened as {self.profile!r}: run the "
                "cell with Lesson(...) again, and all that follow it."
            )

    def _registered(self, id: str) -> Registered:
        registered = read_claims(self.folder, self.profile)
        if id not in registered:
            place = f"{self.folder.name if self.folder else f'lesson_{self.number}'}/claims.toml"
            raise ValueError(
                f"There is no claim {id!r} in {place}: a claim is written down there before it is "
                f"measured. There are: {', '.join(registered) or 'none'}."
            )
        # In Lab a cell may be run again; headless, the same id twice is two claims by one name.
        if id in self.claims and headless():
            raise ValueError(
                f"The claim {id!r} is made twice in {self.name}. Give the second its own id."
            )
        return registered[id]

    def course_table(self) -> None:
        """Show the other lessons of the course as a table, found from their notebooks."""
        others = [lesson for lesson in lessons_here() if lesson.name != self.name]
        lines = [
            f"{o.number} {o.title} ({o.minutes} minutes): {'; '.join(o.can_do)}" for o in others
        ]
        rows = [
            (
                f'<a href="{escape(o.path.name)}">{escape(o.number)} · {escape(o.title)}</a>',
                escape("; ".join(o.can_do)),
                escape(str(o.minutes)),
            )
            for o in others
        ]
        title = "The course from here"
        publish(
            {"kind": "course", "lessons": [lesson.name for lesson in others]},
            text="\n".join([title, *(f"  {line}" for line in lines)]),
            html=card(
                table(("lesson", "afterwards you can", "minutes"), rows), colour=GREY, label=title
            ),
        )

    def close(self) -> None:
        """Show this lesson's claims and the reader's progress; the last cell of a lesson."""
        made = list(self.claims.values())
        note("closed", self.number)
        record = {"kind": "close", "lesson": self.name, "claims": list(self.claims)}
        text, html = claim_card.table_text(made), claim_card.table_html(made)
        if not headless() and journal_path() is not None:
            done = measure(lessons_here(), read(journal_path()), date.today())
            text += "\n" + as_text(done)
            html += card(
                f"<b>Your progress</b><div>{escape(summary(done))}</div>"
                + small("All of it: distill-lab progress, or as a page with --html."),
                colour=GREY,
                label="Your progress",
            )
        publish(record, text=text, html=html)
