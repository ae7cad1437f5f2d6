"""May a student be trained on what this teacher says? What the licences of common teachers answer.

No legal advice: a table of what stood in the texts when they were read, by the name of a model.
A name proves nothing (anybody can rename a model), a fine-tuned model also inherits the licence of
the one it was made from, and texts change: follow the source. What is not here is "unknown".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Training = Literal["allowed", "conditions", "forbidden", "unknown"]
CHECKED = "2026-11-21"


@dataclass(frozen=True)
class Terms:
    """A licence, whether it lets a student learn from outputs, in short why, and where it stands.

    ``version`` is the date of the text, ``checked`` when it was read for this table.
    """

    licence: str
    training: Training
    says: str
    source: str = ""
    version: str = ""
    checked: str = CHECKED

    def warning(self, teacher: str) -> str | None:
        """What to tell whoever trains on it; None where the licence puts nothing in the way."""
        where = f" See {self.source}." if self.source else ""
        if self.training == "forbidden":
            return f"{teacher}: {self.licence} does not allow this. {self.says}{where}"
        if self.training == "conditions":
            return f"{teacher}: {self.licence} allows this on conditions. {self.says}{where}"
        if self.training == "unknown":
            return f"{teacher}: {self.says}{where}"
        return None

    def facts(self) -> dict[str, str]:
        """As plain values, for a card."""
        return {
            "licence": self.licence,
            "training on its outputs": self.training,
            "says": self.says,
            "source": self.source,
            "version": self.version,
            "checked": self.checked,
        }


UNKNOWN = Terms(
    "unknown",
    "unknown",
    "whether its licence allows training on its outputs is not known here. Read it, and pass what "
    "you found as licence=Terms(...).",
    checked="",
)
OPEN = "The licence puts no condition on outputs."
LLAMA_NAME = (
    "A model trained on its outputs and made available must have a name that begins with Llama; "
    "its acceptable use policy applies (section 1.b)."
)
LLAMA_NO = (
    "Outputs may not be used to improve any other large language model than Llama of that "
    "generation (section 1.b.v)."
)
BUILT_WITH_QWEN = (
    "A model trained on its outputs and made available must say Built with Qwen or Improved using "
    "Qwen in its documentation."
)
R1 = "https://github.com/deepseek-ai/DeepSeek-R1"
META = "https://github.com/meta-llama/llama-models/blob/main/models"
HUB = "https://huggingface.co"

# The first expression found in the lower-case name decides, so the special stand before the general
TABLE: tuple[tuple[str, Terms], ...] = (
    (
        r"deepseek-r1-distill-llama",
        Terms(
            "MIT over Llama 3",
            "conditions",
            "It was made from Llama 3.1 or 3.3, whose licence applies as well. " + LLAMA_NAME,
            R1,
            "2025-01-20",
        ),
    ),
    (
        r"deepseek-r1",
        Terms(
            "MIT",
            "allowed",
            "Its authors name distillation for training other models among what is allowed.",
            R1,
            "2025-01-20",
        ),
    ),
    (
        r"llama[-_ ]?3[._]3",
        Terms(
            "Llama 3.3 Community License",
            "conditions",
            LLAMA_NAME,
            f"{META}/llama3_3/LICENSE",
            "2024-12-06",
        ),
    ),
    (
        r"llama[-_ ]?3[._]2",
        Terms(
            "Llama 3.2 Community License",
            "conditions",
            LLAMA_NAME,
            f"{META}/llama3_2/LICENSE",
            "2024-09-25",
        ),
    ),
    (
        r"llama[-_ ]?3[._]1",
        Terms(
            "Llama 3.1 Community License",
            "conditions",
            LLAMA_NAME,
            f"{META}/llama3_1/LICENSE",
            "2024-07-23",
        ),
    ),
    (
        r"llama[-_ ]?3(?![._]?\d)",
        Terms(
            "Meta Llama 3 Community License",
            "forbidden",
            LLAMA_NO,
            "https://www.llama.com/llama3/license",
            "2024-04-18",
        ),
    ),
    (
        r"llama[-_ ]?2(?![._]?\d)",
        Terms(
            "Llama 2 Community License",
            "forbidden",
            LLAMA_NO,
            "https://www.llama.com/llama2/license",
            "2023-07-18",
        ),
    ),
    (
        r"\bgemma-?(2|3|3n|7b)(?![\d.])",
        Terms(
            "Gemma Terms of Use",
            "conditions",
            "A model trained on its outputs to perform like it "
            "is a Model Derivative: these terms and their use restrictions pass on to it "
            "(section 1.1).",
            "https://ai.google.dev/gemma/terms",
        ),
    ),
    (
        r"qwen2\.5-3b",
        Terms(
            "Qwen Research License",
            "conditions",
            "For non-commercial purposes only. " + BUILT_WITH_QWEN,
            f"{HUB}/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE",
        ),
    ),
    (
        r"qwen2\.5-72b",
        Terms(
            "Qwen License",
            "conditions",
            BUILT_WITH_QWEN,
            f"{HUB}/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        ),
    ),
    (
        r"qwen2\.5-(0\.5|1\.5|7|14|32)b",
        Terms("Apache-2.0", "allowed", OPEN, f"{HUB}/Qwen/Qwen2.5-7B-Instruct/blob/main/LICENSE"),
    ),
    (r"qwen3-4b", Terms("Apache-2.0", "allowed", OPEN, f"{HUB}/Qwen/Qwen3-4B/blob/main/LICENSE")),
    (
        r"mistral-7b|mixtral-8x(7|22)b|mistral-nemo|mathstral",
        Terms(
            "Apache-2.0",
            "allowed",
            OPEN,
            "https://docs.mistral.ai/getting-started/open_weight_models/",
        ),
    ),
    (r"gpt-oss", Terms("Apache-2.0", "allowed", OPEN, f"{HUB}/openai/gpt-oss-20b")),
    (r"phi-4$", Terms("MIT", "allowed", OPEN, f"{HUB}/microsoft/phi-4/resolve/main/LICENSE")),
    (
        r"smollm2",
        Terms("Apache-2.0", "allowed", OPEN, f"{HUB}/HuggingFaceTB/SmolLM2-1.7B-Instruct"),
    ),
    (
        r"^(openai/)?(gpt-\d|chatgpt|o[134](-|$))",
        Terms(
            "OpenAI Terms of Use",
            "forbidden",
            "Output may not be used to develop models that compete with OpenAI.",
            "https://openai.com/policies/terms-of-use/",
        ),
    ),
    (
        r"\bclaude-",
        Terms(
            "Anthropic Commercial Terms",
            "forbidden",
            "The service may not be used to build a "
            "competing product or service, nor to train competing models.",
            "https://www.anthropic.com/legal/commercial-terms",
        ),
    ),
    (
        r"\bgemini-",
        Terms(
            "Gemini API Additional Terms",
            "forbidden",
            "The service may not be used to develop models that compete with it.",
            "https://ai.google.dev/gemini-api/terms",
            "2025-05-20",
        ),
    ),
    (
        r"distill-lab.*tutor|^tutor$",
        Terms("Apache-2.0", "allowed", "Built by this project from texts it generates.", "data/"),
    ),
)


def terms_of(teacher: str) -> Terms:
    """What is known of a teacher by its name.

    >>> terms_of("meta-llama/Llama-3.1-8B-Instruct").training
    'conditions'
    >>> terms_of("my-own-model").training
    'unknown'
    """
    name = teacher.lower().rstrip("/")
    found = next((terms for pattern, terms in TABLE if re.search(pattern, name)), None)
    if found is None:  # a folder or an owner may stand before the name
        last = name.rsplit("/", 1)[-1]
        found = next((terms for pattern, terms in TABLE if re.search(pattern, last)), UNKNOWN)
    return found
