"""A teacher that reads more than its student: a system prompt, a hint, the solution, feedback."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import IGNORE, Batch, Head, device_of, kl, next_tokens
from distill_lab.data.tokenized import Texts
from distill_lab.models.scores_at import Places, in_pieces, scores_at
from distill_lab.teachers.live import Live, Teacher, ask, identity_of

UNLIMITED = 2**40  # tokens: a prompt that a student reads is in its data already
FAR, NATS = 5.0, 1.0  # a first token so many times the mean of the others, and so far, is a sign


class ViewGap(NamedTuple):
    """How far a student is from what the teacher says with its view, in nats a token.

    Args:
        first: mean KL(teacher || student) at the first token of the answers.
        others: mean KL at all the others.
    """

    first: float
    others: float


class SecondView:
    """A teacher asked behind another prompt than the student's, about the same answers.

    Each answer of a batch is put behind the teacher's own prompt of that example, and what the
    teacher says of its tokens comes back at the student's positions. The student may have written
    the answer, or it stands in the data.

    Args:
        teacher: a frozen language model, or any teacher that gives logits. The student's own start
            may be one, as a copy.
        rows: those of the student's `Texts`, in their order.
        tokenizer: of both.
        teacher_prompt: a function from a row to what the teacher reads in the prompt's place: a
            text, or a list of messages.
        of: which row each example is of, as `texts.rows`, where some rows were left out; None:
            example i is of row i.
        template: options of the chat template, as in `Texts`.
        max_length: of the teacher's prompt in tokens.

    Raises:
        ValueError: for prompts that are longer; when it is asked, for a batch without answers, or
            one whose prompts are not those of the rows.

    Source: Snell et al. 2022 (Learning by Distilling Context); Shenfeld et al. 2026 (SDFT).

    >>> class Letters:  # a tokenizer in three lines
    ...     eos_token_id, pad_token_id, chat_template = 0, 0, None
    ...     def __call__(self, text, add_special_tokens=False):
    ...         return {"input_ids": [ord(letter) - 96 for letter in text]}
    >>> rows = [{"prompt": "a", "answer": "b"}]
    >>> def repeats(batch):  # a teacher that names the letter it has just read
    ...     return torch.eye(9)[batch.inputs["input_ids"]]
    >>> teacher = SecondView(repeats, rows, Letters(), lambda row: row["prompt"] + "c")
    >>> answer = teacher(Texts(rows, Letters()).batch(torch.tensor([0])))
    >>> answer[0, 0].argmax().item()  # the student reads "a", the teacher "ac"
    3
    """

    def __init__(
        self,
        teacher: nn.Module | Teacher,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: Any,
        teacher_prompt: Callable[[Mapping[str, Any]], Any],
        *,
        of: Tensor | None = None,
        template: Mapping[str, Any] | None = None,
        max_length: int = 2048,
    ) -> None:
        self.teacher: Teacher = Live(teacher) if isinstance(teacher, nn.Module) else teacher
        self.members = (self.teacher,)
        self.tokenizer = tokenizer
        rows = [*rows] if of is None else [*_chosen(rows, of)]
        own = rows_behind(rows, teacher_prompt)
        self.prompts, self.student_prompts = (
            Texts(each, tokenizer, prompts_only=True, template=template, max_length=limit)
            for each, limit in ((own, max_length), (rows, UNLIMITED))
        )
        if self.prompts.too_long:
            raise ValueError(
                f"{self.prompts.too_long} of the teacher's prompts are longer than max_length = "
                f"{max_length} tokens, and an example without one cannot be left out here: "
                "shorten them, or raise max_length."
            )

    @property
    def identity(self) -> str:
        """The teacher's own, and a fingerprint of what it reads."""
        return f"{identity_of(self.teacher)}-view-{self.prompts.fingerprint}"

    @torch.no_grad()  # a member may be a function that asks what still learns
    def __call__(self, batch: Batch) -> Tensor:
        """What the teacher says (B, L, C) at the student's positions of the answers; else 0."""
        targets, mask = next_tokens(_labels(batch), batch.inputs)
        at = Places.of(mask)
        scores = self.scores_at(batch, at, head=False)
        assert isinstance(scores, Tensor)
        full = scores.new_zeros(*targets.shape, scores.shape[-1])
        return full.index_put((at.rows, at.columns), scores)

    def scores_at(self, batch: Batch, at: Places, *, head: bool = True) -> Tensor | Head:
        """Answer about some of the answers' positions of a batch.

        Args:
            batch: of B texts, as the student reads them.
            at: the positions there, n of them.
            head: whether hidden states and output layer may stand for the logits.

        Returns:
            Logits (n, C), or what they are made of.

        Raises:
            ValueError: as the class says.
            TypeError: for a teacher that gives no logits.
        """
        view, moved = self._moved(batch, at)
        own = getattr(self.teacher, "scores_at", None)
        if own is not None:
            scores: Tensor | Head = own(view, moved, head=head)
            return scores
        answer = ask(self.teacher, view)
        if not isinstance(answer, Tensor):
            raise TypeError(
                f"a second view takes logits, and this teacher gives {type(answer).__name__}: keep "
                "the view's own answers instead, as cache(second_view, data, ...)."
            )
        return moved.take(answer)

    def side_by_side(self, number: int) -> str:
        """Both prompts of one example as text, control words included, one below the other.

        Args:
            number: of the example.

        Returns:
            Two paragraphs, each with its number of tokens.
        """
        sides = (("student reads", self.student_prompts), ("teacher reads", self.prompts))
        parts = []
        for who, prompts in sides:
            tokens = prompts.text(number).prompt
            parts.append(f"{who} ({len(tokens)} tokens):\n{self.tokenizer.decode(tokens)}")
        return "\n\n".join(parts)

    def check(self, student: nn.Module, batch: Batch) -> ViewGap:
        """How far the student is from its teacher at the first token of an answer, and later.

        Where only the first is far, the views differ in how a turn begins: one template opens
        thoughts or ends its prompt with a line break, the other does not. That is warned of, with
        both views.

        Args:
            student: the network that will learn, in any mode.
            batch: texts with answers, or such as the student has written.

        Returns:
            The two means; NaN for the others where all answers have one token.
        """
        mask = next_tokens(_labels(batch), batch.inputs)[1]
        at = Places.of(mask)
        where = next(student.parameters()).device
        inputs = batch.to(where).inputs
        here = at.to(where)
        with modes_kept(student), torch.no_grad():
            ours = scores_at(student.eval(), inputs, here)
            its = self.scores_at(batch, at)
            each = [
                kl(t.log_softmax(-1), s.to(t.device).log_softmax(-1)).cpu()
                for _, (s, t) in in_pieces(ours, its)
            ]
        nats = torch.cat(each)
        is_first = at.columns == mask.int().argmax(1)[at.rows]
        gap = ViewGap(nats[is_first].mean().item(), nats[~is_first].mean().item())
        if gap.first > NATS and gap.first > FAR * gap.others:
            example = int(batch.ids[0])
            warnings.warn(
                f"at the first token of an answer the teacher is {gap.first:.2f} nats from the "
                f"student, and {gap.others:.2f} at the others: do both views end where an answer "
                f"begins?\n{self.side_by_side(example)}",
                stacklevel=2,
            )
        return gap

    def _moved(self, batch: Batch, at: Places) -> tuple[Batch, Places]:
        """The batch as the teacher reads it, and where the same tokens are predicted there."""
        labels = _labels(batch)
        where = device_of(batch.inputs)
        ids, attended = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        begin = ((labels != IGNORE) & attended.bool()).int().argmax(1)  # (B,): of each answer
        self._check_prompts(batch, begin)
        prompts = self.prompts.batch(batch.ids.cpu()).to(where).inputs
        width = prompts["input_ids"].shape[1]  # padded on the left: every answer begins there
        columns = begin[:, None] + torch.arange(ids.shape[1] - int(begin.min()), device=where)
        inside = columns < ids.shape[1]
        columns = columns.clamp_max(ids.shape[1] - 1)
        kept = attended.gather(1, columns) * inside
        attention = torch.cat([prompts["attention_mask"].to(kept.dtype), kept], 1)
        inputs = {
            "input_ids": torch.cat([prompts["input_ids"], ids.gather(1, columns)], 1),
            "attention_mask": attention,
            "position_ids": (attention.cumsum(1) - 1).clamp_min(0),
        }
        answer = labels.gather(1, columns).masked_fill(~inside, IGNORE)
        view = Batch(
            inputs,
            torch.cat([torch.full_like(prompts["input_ids"], IGNORE), answer], 1),
            batch.ids,
            batch.weights,
        )
        moved = Places(at.rows, at.columns - begin[at.rows] + width, attention.shape)
        return view, moved

    def _check_prompts(self, batch: Batch, begin: Tensor) -> None:
        """Refuse a batch whose examples are not the rows of their numbers."""
        ids, attended = (batch.inputs[n].cpu() for n in ("input_ids", "attention_mask"))
        for row, (number, first) in enumerate(zip(batch.ids.tolist(), begin.tolist(), strict=True)):
            expected = (
                self.student_prompts.text(number).prompt
                if number < len(self.student_prompts)
                else None
            )
            if ids[row, :first][attended[row, :first] > 0].tolist() != expected:
                raise ValueError(
                    f"the prompt of example {number} is not that of rows[{number}], so the teacher "
                    "would read another one's view: give the rows that the student's texts were "
                    "made of, and of=texts.rows where some were left out."
                )


def rows_behind(
    rows: Iterable[Mapping[str, Any]], teacher_prompt: Callable[[Mapping[str, Any]], Any]
) -> list[dict[str, Any]]:
    """Put what the teacher reads in the place of each row's own prompt.

    Args:
        rows: with `prompt` or `messages`.
        teacher_prompt: as in `SecondView`.

    Returns:
        Rows for `Texts(prompts_only=True)`.
    """
    return [{**row, "messages": None, "prompt": teacher_prompt(row)} for row in rows]


def _chosen(rows: Iterable[Mapping[str, Any]], of: Tensor) -> Iterator[Mapping[str, Any]]:
    """The rows of these numbers, which never fall, each as often as it is named."""
    times = Counter(of.tolist())
    for number, row in enumerate(rows):
        yield from repeat(row, times[number])


def _labels(batch: Batch) -> Tensor:
    labels = batch.labels
    if labels is None or labels.dim() != 2 or not (labels != IGNORE).any(1).all():
        raise ValueError(
            "a second view is asked about answers, and an example here has none: give texts with "
            "answers, or let the student write them, as methods.on_policy does."
        )
    return labels
