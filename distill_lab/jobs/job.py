"""A job that distils one language model into another: its settings, and what follows from them."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

from distill_lab.data.samplers import ByLength
from distill_lab.data.teacher_prompt import TeacherPrompt
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.kinds.language_model import SETTINGS
from distill_lab.jobs.run_options import RunOptions
from distill_lab.jobs.settings import TRAINING
from distill_lab.training import TrainingConfig

DEFAULTS = TrainingConfig(**{each.name: each.default for each in SETTINGS if each.name in TRAINING})


@dataclass(frozen=True, kw_only=True)
class Job(RunOptions):
    """A distillation of one language model into another.

    Args:
        student: A folder, a hub name, or the shape of a new Llama with the teacher's tokenizer.
        train: Files of prompts and answers, or of messages: see `load_dataset`.
        out: The folder that everything is written into.
        method: One of `kinds.language_model.METHODS`.
        teacher: A folder or a hub name.
        teacher_keep: What of its distributions is kept on disk, such as `{"top_k": 64}`; None
            asks it anew in each step.
        teacher_server: Where it is served, as `kinds.language_model.SERVER` says; None: it is here.
        validation: Files like `train`, which the figures are measured on; else `train` itself, or
            the share of it that is `held_out`.
        columns: Our names for columns of the data: `{"prompt": "question"}`.
        encoding: Of data that are not UTF-8.
        exam: What the models are asked before and after: the arguments of `read_exam`.
        T: The temperature of the distributions that are compared.
        alpha: The teacher's share of the loss; the rest is cross-entropy on the labels.
        teacher_prompt: What the teacher alone reads, as arguments of `TeacherPrompt`; None: what
            its student reads.
        beta: The teacher's share of the mixture in the JSD, 0.5 by default; how strongly dpo holds
            the student to its start, 0.1.
        temperature: What logits are divided by when an answer is sampled; 0: the likeliest token.
        samples: Answers that the teacher writes to a prompt.
        top_p: The probability of the nucleus that their tokens are drawn from.
        stop: Texts that end an answer.
        system: A system message before every prompt that has none.
        plain: Whether a teacher that is here sees the bare text of a prompt.
        refusals: Whether answers that begin like a refusal are kept.
        schema: The file of a JSON schema that every answer has to satisfy.
        answers: The file of the answers; None: one in `out`.
        verify: What of them is right, as `kinds.judging.VERIFY` says; None takes all.
        filters: What they have to pass, each `{name: settings}`.
        learn: The assistant's "last" turn of a conversation, or "all" of them.
        reasoning: Whether thoughts before an answer are there to "learn" or to "drop".
        template: Options of the chat template, such as `{"enable_thinking": False}`.
        max_length: The length of a training text in tokens, at most.
        max_new_tokens: The length of a sampled answer in tokens, at most.
        bundle: Whether batches hold texts of like length, so that little of them is padding.
        lora: Options of low-rank adapters; None trains all weights.
        gradient_checkpointing: Whether layers are computed again in the backward pass.
        training: The settings of the training.
    """

    student: str | dict[str, int]
    train: str | list[str]
    out: str
    method: str
    teacher: str | None = None
    teacher_keep: dict[str, int] | None = None
    teacher_server: dict[str, Any] | None = None
    validation: str | list[str] | None = None
    columns: dict[str, str] | None = None
    encoding: str | None = None
    exam: dict[str, Any] | None = None
    T: float = 1.0
    alpha: float = 1.0
    beta: float = 0.5
    teacher_prompt: dict[str, str] | None = None
    temperature: float = 1.0
    samples: int = 1
    top_p: float = 1.0
    stop: list[str] | None = None
    system: str | None = None
    plain: bool = False
    refusals: bool = False
    schema: str | None = None
    answers: str | None = None
    verify: str | dict[str, Any] | None = None
    filters: list[dict[str, dict[str, Any]]] | None = None
    learn: str = "last"
    reasoning: str = "learn"
    template: dict[str, Any] | None = None
    max_length: int = 512
    max_new_tokens: int = 128
    bundle: bool = False
    lora: dict[str, Any] | None = None
    gradient_checkpointing: bool = False
    training: TrainingConfig = DEFAULTS

    kind = "language-model"

    @classmethod
    def of(cls, **settings: Any) -> "Job":
        """Make a job of its own settings and those of the training, side by side."""
        training = {name: settings.pop(name) for name in TRAINING if name in settings}
        exam = settings.pop("task", None) or settings.pop("exam", None)
        settings["exam"] = exam if exam is None or isinstance(exam, dict) else {"data": exam}
        if isinstance(view := settings.get("teacher_prompt"), str):
            settings["teacher_prompt"] = {"user": view}
        if settings.get("beta") is None:
            settings["beta"] = 0.1 if settings["method"] == "dpo" else 0.5
        return cls(**settings, training=replace(DEFAULTS, **training))

    @property
    def teacher_here(self) -> str | None:
        """The teacher that is loaded: a folder or a hub name, unless a server has it."""
        return self.teacher if self.teacher_server is None else None

    @property
    def view(self) -> TeacherPrompt | None:
        """What the teacher alone reads; None: the same as its student."""
        return None if self.teacher_prompt is None else TeacherPrompt(**self.teacher_prompt)

    def reading(self) -> dict[str, Any]:
        """How rows are read and written, for `Texts`."""
        return {"learn": self.learn, "reasoning": self.reasoning, "template": self.template}

    def sampler(self, texts: Texts) -> ByLength | None:
        """The order of batches of like length, where the job asks for them."""
        return ByLength(texts.lengths, self.training.batch_size) if self.bundle else None

    def training_settings(self) -> dict[str, Any]:
        """The settings of the training, for `distill`."""
        return {name: getattr(self.training, name) for name in TRAINING}

    def facts(self) -> dict[str, Any]:
        """All settings side by side, as plain values."""
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        del own["training"], own["base"], own["places"]
        return own | self.training_settings()
