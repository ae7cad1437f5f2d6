"""Jobs of each kind with models of many families: checked, run, and their students loaded.

What a job says of its models is held against each text read alone, by transformers.
"""

import json

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    CTRLConfig,
    CTRLLMHeadModel,
)

from distill_lab.jobs.setups.encoders import AutoEncoder
from tests.jobs import tiny
from tests.jobs.grid.laws import Trial, killed
from tests.jobs.grid.models import SINGLE
from tests.models.test_families import DECODERS, ENCODERS, config_of

WORDS = [
    "[UNK]",
    "[PAD]",
    *tiny.WORDS[2:],
]  # RoBERTa counts places from behind its padding's number
LIMIT = 18
TAGS = ("loan", "O", "rate", "card")
CLASSES = tuple(sorted(tiny.CLASSES))
TAGGING, EMBEDDING, RANKING = "token-classification", "embedding", "ranking"
CLASSIFYING = "text-classification"
AUTO = {
    CLASSIFYING: AutoModelForSequenceClassification,
    TAGGING: AutoModelForTokenClassification,
    EMBEDDING: AutoEncoder,
    RANKING: AutoModelForSequenceClassification,
}
METHODS = {CLASSIFYING: "kd", TAGGING: "kd", EMBEDDING: "cosine", RANKING: "margin-mse"}
STUDENTS = {
    "folder": None,
    "layers": {"layers": [1]},
    "width": {"hidden_size": 4, "num_hidden_layers": 1},
}
# which read padding, so that a text's answer depends on the texts beside it
READ_PADDING = {"convbert", "fnet", "funnel"}
NO_TAGGER = {"granite", "mamba", "olmo2", "opt", "gemma3_text"}
NO_CLASSIFIER = {"granite", "mamba"}


def rows():
    made = []
    for i, row in enumerate(tiny.sentences(12, 1)):
        words = row["text"].split()
        tags = [
            next((n for n, letters in tiny.CLASSES.items() if w in letters), "O") for w in words
        ]
        other = [name for name in CLASSES if name != row["label"]][i % 2]
        right, wrong = (" ".join(tiny.CLASSES[name][:2]) for name in (row["label"], other))
        made.append({"text": row["text"], "tokens": words, "tags": tags, "query": row["text"]})
        made[-1]["label"] = row["label"]
        made[-1] |= {"positive": right, "negative": [wrong]}
    return made


def names(some):
    return {"id2label": dict(enumerate(some)), "label2id": {x: i for i, x in enumerate(some)}}


def saved(place, family, auto, seed, tokenizer, **more):
    """A tiny model in a folder."""
    torch.manual_seed(seed)
    config = config_of(family)
    for name, value in more.items():
        setattr(config, name, value)
    auto.from_config(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return str(place)


def trial(place, some, **settings):
    tiny.write_jsonl(place / "train.jsonl", some)
    usual = {"train": "train.jsonl", "validation": "train.jsonl", "epochs": 1, "lr": 1e-2}
    return Trial(place, usual | {"batch_size": 4, "max_length": LIMIT} | settings)


def encoders(place, family, kind, student):
    """A job of encoders of one family."""
    tokenizer = tiny.tokenizer(WORDS)
    tokenizer.model_max_length = LIMIT
    heads = {CLASSIFYING: names(CLASSES), TAGGING: names(TAGS), RANKING: {"num_labels": 1}}
    more = heads.get(kind, {})
    teacher = saved(place / "teacher", family, AUTO[kind], 1, tokenizer, **more)
    own = STUDENTS[student] or saved(place / "own", family, AUTO[kind], 2, tokenizer, **more)
    given = {"kind": kind, "teacher": teacher, "student": own, "method": METHODS[kind]}
    return trial(place, rows(), **given)


def answers(kind, folder):
    """What a saved model says of each row, alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AUTO[kind].from_pretrained(str(folder)).eval()

    def ask(*texts, **options):
        read = {"return_tensors": "pt", "return_token_type_ids": None, **options}
        inputs = tokenizer(*texts, truncation=True, max_length=LIMIT, **read)
        with torch.no_grad():
            return model(**inputs)

    for row in rows():
        if kind == TAGGING:
            read = ask(row["tokens"], is_split_into_words=True).logits[0]
            yield read[1 : 1 + len(row["tokens"])]
        elif kind == CLASSIFYING:
            yield ask(row["text"]).logits
        elif kind == EMBEDDING:
            yield ask(row["text"]).last_hidden_state[0].mean(0)
        else:
            both = [row["positive"], *row["negative"]]
            yield torch.stack([ask(row["query"], text).logits[0, 0] for text in both])


def figures_by_hand(kind, folder, teacher):
    own = list(answers(kind, folder))
    if kind in (CLASSIFYING, TAGGING):
        numbers = json.loads((folder / "config.json").read_text())["label2id"]
        each = [row["tags"] if kind == TAGGING else [row["label"]] for row in rows()]
        labels = torch.tensor([numbers[name] for some in each for name in some])
        return {"nll": float(torch.nn.functional.cross_entropy(torch.cat(own), labels))}
    if kind == RANKING:
        ranks = [1 + int((each[1:] > each[0]).sum()) for each in own]
        return {"reciprocal_rank": sum(1 / rank for rank in ranks) / len(ranks)}
    its = list(answers(kind, teacher))
    if own[0].shape != its[0].shape:
        return {}
    alike = torch.nn.functional.cosine_similarity(torch.stack(own), torch.stack(its))
    return {"cosine_to_teacher": float(alike.mean())}


def possible(family, kind, student):
    if family == "funnel" and (kind == EMBEDDING or student != "folder"):
        return False  # its model has no half; it has blocks of layers, which nobody names
    if student == "width" and family == "mobilebert":
        return False
    if student == "layers" and family == "modernbert":
        return False  # its first layer is another, and the refusal says so
    return family not in {TAGGING: NO_TAGGER, EMBEDDING: set()}.get(kind, NO_CLASSIFIER)


EVERY = [
    (family, kind, student)
    for family in [*ENCODERS, *DECODERS]
    for kind in AUTO
    for student in STUDENTS
    if possible(family, kind, student)
]
# of each kind and each student those families that are most unlike each other
QUICK = [
    ("albert", TAGGING, "layers"),
    ("xlm", TAGGING, "layers"),
    ("esm", TAGGING, "layers"),
    ("gpt2", TAGGING, "width"),
    ("roberta", EMBEDDING, "folder"),
    ("deberta-v2", EMBEDDING, "width"),
    ("bloom", EMBEDDING, "layers"),
    ("convbert", EMBEDDING, "folder"),
    ("xlnet", CLASSIFYING, "folder"),
    ("xlnet", RANKING, "folder"),
    ("qwen3", RANKING, "layers"),
    ("distilbert", RANKING, "width"),
]


def in_tiers(every, quick):
    """A few at once, a third with the slow ones, each family and kind among them, and then all."""
    tiers = pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.exhaustive
    turns = [(place + place // 3) % 3 for place in range(len(every))]
    return [
        each if each in quick else pytest.param(*each, marks=tiers[turn])
        for each, turn in zip(every, turns, strict=True)
    ]


@pytest.mark.parametrize(("family", "kind", "student"), in_tiers(EVERY, QUICK))
def test_figures_of_encoders_are_those_of_each_text_alone(tmp_path, family, kind, student):
    made = encoders(tmp_path, family, kind, student)
    checked, ran = made.check(), made.run()
    assert checked.refusal == ran.refusal == ""
    noted = any("the student, a" in line and "reads padding as well" in line for line in ran.lines)
    # a classifier reads the first place, which may be far from padding; narrow ones hardly notice
    if kind in (TAGGING, EMBEDDING) and student == "folder":
        assert noted == (family in READ_PADDING)
    assert not noted or family in READ_PADDING
    report = made.report()["figures"]
    folders = {"student": tmp_path / "out/student"}
    if kind != EMBEDDING:
        folders["teacher"] = tmp_path / "teacher"
    for who, folder in folders.items():
        for name, value in figures_by_hand(kind, folder, tmp_path / "teacher").items():
            if family not in READ_PADDING:
                assert report[who][name] == pytest.approx(value, rel=2e-3, abs=2e-3), (who, name)


TALKS = [{"prompt": a + b, "answer": b + a + c} for a in "abc" for b in "abcd" for c in ("", "a")][
    :12
]
WAYS = {
    "token-kl": {"method": "token-kl"},
    "adapters": {"method": "token-kl", "lora": {"r": 2}},
    "adapters apart": {"method": "sft", "lora": {"r": 2, "merge": False}},
    "on-policy": {"method": "on-policy", "temperature": 0, "max_new_tokens": 4},
    "sft": {"method": "sft"},
}
SPEECH = [(family, way) for family in DECODERS for way in WAYS]
QUICK_SPEECH = [
    ("gpt2", "on-policy"),
    ("bloom", "token-kl"),
    ("gemma2", "adapters"),
    ("gpt_neox", "adapters apart"),
    ("mamba", "adapters"),
]


def speech(place, family, way):
    """A job of language models of one family."""
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    tokenizer = SINGLE.tokenizer()
    own, other = (
        saved(place / who, family, AutoModelForCausalLM, seed, tokenizer, **ends)
        for seed, who in enumerate(("own", "teacher"))
    )
    taught = {} if WAYS[way]["method"] == "sft" else {"teacher": other}
    given = {"kind": "language-model", "student": own, **taught, **WAYS[way]}
    return trial(place, TALKS, **given)


def nll_by_hand(model):
    """Of the answers' tokens, each conversation alone."""
    each = []
    for row in TALKS:
        prompt = [SINGLE.mark("user"), *SINGLE.ids(row["prompt"]), SINGLE.mark("bot")]
        answer = [*SINGLE.ids(row["answer"]), SINGLE.mark("end")]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
        log_probs = logits[len(prompt) - 1 : -1].log_softmax(-1)
        each.append(-log_probs.gather(-1, torch.tensor(answer)[:, None]))
    return float(torch.cat(each).mean())


@pytest.mark.parametrize(("family", "way"), in_tiers(SPEECH, QUICK_SPEECH))
def test_figures_of_language_models_are_those_of_each_text_alone(tmp_path, family, way):
    made = speech(tmp_path, family, way)
    checked, ran = made.check(), made.run()
    assert checked.refusal == ran.refusal == ""
    student = tmp_path / "out/student"
    if way == "adapters apart":
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "own")
        model = PeftModel.from_pretrained(model, student)
    else:
        model = AutoModelForCausalLM.from_pretrained(student)
    figure = made.report()["figures"]["student after"]["nll"]
    assert figure == pytest.approx(nll_by_hand(model.eval()), rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["albert", "xlm", "xlnet", "esm"])
def test_a_tagger_that_is_killed_goes_on_with_the_same_bits(tmp_path, family):
    made = encoders(tmp_path, family, TAGGING, "layers")
    made.settings["checkpoint_every"] = 1
    made.case = {"seeds": None}
    killed(made, made.run())


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "mamba", "mixtral"])
def test_a_language_model_that_is_killed_goes_on_with_the_same_bits(tmp_path, family):
    made = speech(tmp_path, family, "on-policy")
    made.settings["checkpoint_every"] = 1
    made.case = {"seeds": None}
    killed(made, made.run())


def test_layers_that_cannot_be_computed_again_are_refused_at_once(tmp_path):
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2, "dff": 16, "vocab_size": 40}
    torch.manual_seed(0)
    model = CTRLLMHeadModel(CTRLConfig(**sizes, n_positions=32, eos_token_id=1))
    model.save_pretrained(tmp_path / "own")
    SINGLE.tokenizer().save_pretrained(tmp_path / "own")
    given = {"kind": "language-model", "student": str(tmp_path / "own"), "method": "sft"}
    made = trial(tmp_path, TALKS, **given, gradient_checkpointing=True)
    words = "a CTRLLMHeadModel cannot compute its layers again: leave it out"
    assert words in made.check().refusal and words in made.run().refusal
