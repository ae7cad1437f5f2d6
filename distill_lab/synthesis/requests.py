"""Requests by the hundred thousand: their prompts lie on the disk, and each is made when asked for.

In memory a request is its id and two numbers.
"""

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import IO, Any, overload

from distill_lab._util.jsonl import in_words
from distill_lab.synthesis.prompts import NamedPrompt, TeacherView, named_prompts, request_id
from distill_lab.teachers.text.protocol import Prompt, Request, Sampling


class PromptStore:
    """Prompts in a file that goes with its use: nothing of it stays, however a process ends.

    Args:
        beside: The file of the answers, on whose disk they lie; None for the system's own place.
    """

    def __init__(self, beside: Path | None = None) -> None:
        self.beside = beside
        self._file, self._lock = _spool(beside), Lock()
        self._places, self.lengths, self._end = array("q"), array("q"), 0
        self.unfit: dict[int, str] = {}
        self._digest = blake2b(b"[", digest_size=8)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, each: NamedPrompt) -> None:
        """Write one prompt down."""
        if each.unfit:
            self.unfit[len(self)] = each.unfit
        self._digest.update(f"{',' * bool(self)}{each.messages}".encode("utf-8", "surrogatepass"))
        self.lengths.append(len(each.messages))
        prompt = each.prompt
        parts = [prompt.messages, prompt.tools, prompt.student, dict(prompt.about)]
        line = json.dumps(parts).encode() + b"\n"
        self._places.append(self._end)
        self._end += len(line)
        try:
            self._file.write(line)
        except OSError:
            with in_words(self.beside or Path("the prompts")):
                raise

    @property
    def hash(self) -> str:
        """What `digest` makes of the list of all prompts' messages."""
        closed = self._digest.copy()
        closed.update(b"]")
        return closed.hexdigest()

    def __getitem__(self, number: int) -> Prompt:
        with self._lock:  # a served teacher asks in a thread of its own
            self._file.seek(self._places[number])
            line = self._file.readline()
        *parts, about = json.loads(line)
        messages, tools, student = map(tuple, parts)
        return Prompt(messages, about, tools, student)


class Requests(Sequence[Request]):
    """Requests in their order, or some of them: each is made again whenever it is asked for.

    Args:
        store: Their prompts.
        sampling: How answers are drawn.
        names: The ids of all requests, prompt by prompt, as whole numbers.
        numbers: Which of them these are; None for all.
    """

    def __init__(
        self,
        store: PromptStore,
        sampling: Sampling,
        names: "array[int]",
        numbers: Iterable[int] | None = None,
    ) -> None:
        self.store, self.sampling, self._names = store, sampling, names
        self._numbers = array("q", range(len(names)) if numbers is None else numbers)

    def ids(self) -> Iterator[str]:
        """The ids in their order."""
        return (f"{self._names[number]:016x}" for number in self._numbers)

    def pick(self, places: Iterable[int]) -> "Requests":
        """Some of these requests, by where they stand among them."""
        return self._some(self._numbers[place] for place in places)

    def fit(self) -> "Requests":
        """Those that somebody can be asked."""
        unfit, samples = self.store.unfit, self.sampling.samples
        if not unfit:
            return self
        return self._some(n for n in self._numbers if n // samples not in unfit)

    def unfit(self) -> "Requests":
        """Those that nobody can be asked."""
        unfit, samples = self.store.unfit, self.sampling.samples
        return self._some(n for n in self._numbers if n // samples in unfit)

    def length(self, place: int) -> int:
        """The letters of a request's messages, with what stands around them."""
        return self.store.lengths[self._numbers[place] // self.sampling.samples]

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Request: ...
    @overload
    def __getitem__(self, place: slice) -> "Requests": ...
    def __getitem__(self, place: int | slice) -> "Request | Requests":
        if isinstance(place, slice):
            return self._some(self._numbers[place])
        number = self._numbers[place]
        of, sample = divmod(number, self.sampling.samples)
        unfit = self.store.unfit.get(of, "")
        return Request(f"{self._names[number]:016x}", self.store[of], sample, self.sampling, unfit)

    def _some(self, numbers: Iterable[int]) -> "Requests":
        return Requests(self.store, self.sampling, self._names, numbers)


def wanted_of(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
    beside: Path | None = None,
    teacher_prompt: TeacherView | None = None,
) -> tuple[Requests, int]:
    """Collect the requests, so that what comes twice is asked once; prompts are read but once.

    Args:
        prompts: What `as_prompt` takes.
        sampling: How answers are drawn.
        teacher: Its identity.
        system: A system message before every prompt that has none.
        beside: The file of the answers, on whose disk prompts are held meanwhile.
        teacher_prompt: What the teacher reads in a prompt's place.

    Returns:
        The requests in their order, and how many there were with those that came again.

    Raises:
        ValueError: Without a prompt, and what `requests_of` raises.
    """
    store, names, total = PromptStore(beside), array("Q"), 0
    known: set[int] = set()
    for each in named_prompts(prompts, sampling, teacher, system, teacher_prompt):
        total += sampling.samples
        if (name := int(each.name, 16)) in known:
            continue
        known.add(name)
        store.add(each)
        for sample in range(sampling.samples):
            names.append(int(request_id(each.name, sample), 16))
    if not total:
        raise ValueError("there are no prompts: give at least one.")
    return Requests(store, sampling, names), total


def _spool(beside: Path | None) -> IO[bytes]:
    """A file without a name, on the disk of another, or where the system has such ones."""
    folder = None if beside is None else next((p for p in beside.parents if p.is_dir()), None)
    if folder is not None:
        with suppress(OSError):  # who cannot write there is told so with the answers
            return tempfile.TemporaryFile(dir=folder)
    return tempfile.TemporaryFile()
