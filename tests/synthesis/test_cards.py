"""What stands on the card of a set and of a student, and what the licence table answers."""

import json
import re
from dataclasses import replace

import pytest

from distill_lab.synthesis import LocalGenerator, OpenAIGenerator, filters, generate
from distill_lab.synthesis.cards import card_path, read_card, set_card, sha256, student_card
from distill_lab.synthesis.licences import UNKNOWN, Terms, table, terms_of
from distill_lab.synthesis.markdown import fenced
from distill_lab.synthesis.pipeline import FilterPipeline
from distill_lab.synthesis.progress import ProgressMeter
from distill_lab.synthesis.verifiers import Verdict
from tests.synthesis.http import Backend, message
from tests.synthesis.tiny import make_model, make_tokenizer, save

SPDX = {"MIT", "Apache-2.0"}  # on the list of SPDX; all others are references of ours


@pytest.mark.parametrize(
    ("name", "training", "licence"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "conditions", "Llama 3.1"),
        ("meta-llama/Llama-3.3-70B-Instruct", "conditions", "Llama 3.3"),
        ("meta-llama/Meta-Llama-3-8B", "forbidden", "Llama 3 "),
        ("meta-llama/Llama-2-7b-chat-hf", "forbidden", "Llama 2"),
        ("llama3.2:1b", "conditions", "Llama 3.2"),
        ("meta-llama/Llama-4-Scout", "unknown", "unknown"),
        ("deepseek-ai/DeepSeek-R1", "allowed", "MIT"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "conditions", "Llama"),
        ("google/gemma-2-9b-it", "conditions", "Gemma"),
        ("google/gemma-4-9b", "unknown", "unknown"),
        ("Qwen/Qwen2.5-7B-Instruct", "allowed", "Apache"),
        ("Qwen/Qwen2.5-3B-Instruct", "conditions", "Research"),
        ("Qwen/Qwen2.5-72B-Instruct", "conditions", "Qwen License"),
        ("/models/Qwen2.5-0.5B-Instruct/", "allowed", "Apache"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "allowed", "Apache"),
        ("mistralai/Mistral-Large", "unknown", "unknown"),
        ("openai/gpt-oss-20b", "allowed", "Apache"),
        ("gpt-4o-mini", "forbidden", "OpenAI"),
        ("o3-mini", "forbidden", "OpenAI"),
        ("claude-sonnet-4", "forbidden", "Anthropic"),
        ("gemini-2.5-pro", "forbidden", "Gemini API"),
        ("microsoft/phi-4", "allowed", "MIT"),
        ("my-own-model", "unknown", "unknown"),
        ("folder/llama-3-notes/my-own-model", "forbidden", "Llama 3"),  # rather warn than not
    ],
)
def test_the_table_knows_common_teachers_and_no_others(name, training, licence):
    terms = terms_of(name)
    assert terms.training == training and licence in terms.licence
    assert (terms.warning(name) is None) == (training == "allowed")


def test_every_entry_of_the_table_names_its_source_and_when_it_was_read():
    for pattern, terms in table():
        re.compile(pattern)
        assert terms.source and re.fullmatch(r"\d{4}-\d\d-\d\d", terms.checked), pattern
        assert set(re.findall(r"[\w.-]+", terms.spdx)) - {"AND", "OR"} <= SPDX | {
            name for name in re.findall(r"[\w.-]+", terms.spdx) if name.startswith("LicenseRef-")
        }
        assert terms.version == "" or re.fullmatch(r"\d{4}-\d\d-\d\d", terms.version)
        assert len(terms.note.split()) >= 4
    assert "not known here" in UNKNOWN.warning("x")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "answers.jsonl"
    prompts = [{"prompt": f"what is {w}", "label": w} for w in ("the", "of", "to", "in")]
    return generate(
        prompts, LocalGenerator(make_model(), make_tokenizer()), path, samples=3, max_new_tokens=90
    )


def test_the_card_of_a_set(answers, tmp_path):
    filtered = FilterPipeline([filters.length(3), filters.distinct()])(answers.rows)
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in filtered.rows))
    card = set_card(
        answers,
        prompts="four words",
        filtered=filtered,
        file=path,
        evaluation={"verified": "91.0 %"},
    )
    written = card.write(card_path(path))
    assert written.name == "set.card.md"
    text, facts = written.read_text(), read_card(tmp_path / "set.card.json")
    assert "**Warning.** LlamaForCausalLM: whether its licence allows" in text
    assert facts["file"] == {
        "name": "set.jsonl",
        "rows": len(filtered.rows),
        "sha256": sha256(path),
    }
    assert facts["prompts"]["count"] == 4 and facts["prompts"]["source"] == "four words"
    assert facts["settings"]["temperature"] == 1.0 and facts["settings"]["samples"] == 3
    assert (
        facts["answers"]["requests"]
        == 12
        == facts["answers"]["usable"] + sum(facts["answers"]["rejected"].values())
    )
    assert facts["answers"]["answer tokens"] > 12
    assert [step["filter"] for step in facts["filters"]] == ["length", "near-duplicates"]
    assert facts["teacher"]["weights"].startswith("LlamaForCausalLM-")
    assert facts["evaluation"] == {"verified": "91.0 %"}
    for word in ("## Teacher", "## Filters", "near-duplicates", "91.0 %", facts["file"]["sha256"]):
        assert word in text


def test_what_you_know_of_a_licence_replaces_the_table(answers):
    own = Terms("MIT", "allowed", "I asked its author.", "a letter", "2026-01-01")
    assert set_card(answers, licence=own).warnings == ()
    assert set_card(answers).warnings


def test_the_card_of_a_student_carries_the_warnings_of_its_data(answers, tmp_path):
    student = save(tmp_path / "student")
    data = set_card(answers)
    data.write(tmp_path / "data.card.md")
    card = student_card(
        student,
        base=None,
        sets=[tmp_path / "data.card.json"],
        teachers=["gpt-4o"],
        method="seq-kd",
        settings={"lr": 0.001},
        evaluation={"accuracy": 0.9},
    )
    card.write(student / "card.md")
    facts = read_card(student / "card.json")
    assert any("not known here" in w for w in facts["warnings"])
    assert any("compete with OpenAI" in w for w in facts["warnings"])
    assert facts["files"]["model.safetensors"] == sha256(student / "model.safetensors")
    assert facts["training"] == {"method": "seq-kd", "lr": 0.001}
    assert facts["data"][0]["sha256"] == sha256(answers.path)
    again = student_card(student, base=None, sets=[data], method="seq-kd", settings={})
    assert again.facts()["files"] == facts["files"]  # a card is no part of what it describes


def test_the_files_of_a_pattern_stand_on_the_card_each_with_its_hash(tmp_path):
    parts = [tmp_path / f"part-{n}.jsonl" for n in range(2)]
    for part in parts:
        part.write_text(f"{part.name}\n")
    pattern = str(tmp_path / "part-*.jsonl")
    card = student_card(tmp_path, base=None, method="sft", settings={}, data=[pattern])
    assert [each["sha256"] for each in card.facts()["data"]] == [sha256(part) for part in parts]


def test_cards_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="write one with set_card"):
        read_card(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="no card of this version"):
        read_card(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_card(tmp_path / "x.json")
    with pytest.raises(FileNotFoundError, match="save the student first"):
        student_card(tmp_path / "no", base=None, method="sft", settings={})


class Other(Backend):
    """A server that names another model than was asked for, and counts nothing."""

    async def serve(self, first, headers, body, reader, writer):
        choice = {"finish_reason": "stop", "message": {"content": "fine"}}
        full = {"model": "meta-llama/Meta-Llama-3-8B-Instruct", "choices": [choice]}
        raw = json.dumps(full | {"system_fingerprint": "fp_1"}).encode()
        writer.write(message("200 OK", raw))
        return True


def test_of_what_was_asked_and_what_answered_the_stricter_licence_counts(tmp_path):
    with Other() as server:
        teacher = OpenAIGenerator(server.url, "Qwen/Qwen2.5-7B-Instruct")
        card = set_card(generate(["q"], teacher, tmp_path / "s.jsonl"))
    assert card.facts()["teacher"]["training on its outputs"] == "forbidden"
    assert card.facts()["teacher"]["fingerprints"] == {"fp_1": 1}


def test_what_answered_and_where_is_on_the_card_and_decides_the_licence(tmp_path):
    with Other() as server:
        teacher = OpenAIGenerator(server.url, "my-alias", prices=(1.0, 2.0))
        answers = generate([f"q{i}" for i in range(4)], teacher, tmp_path / "s.jsonl")
        card = set_card(answers)
    assert answers.rows[0].get("model") == "meta-llama/Meta-Llama-3-8B-Instruct"
    facts = card.facts()["teacher"]
    assert facts["answered as"] == {"meta-llama/Meta-Llama-3-8B-Instruct": 4}
    assert facts["address"] == server.url and "Llama 3" in facts["licence"]
    assert any("does not allow" in w for w in card.warnings)
    assert any(w.startswith("my-alias was asked, and the server says") for w in card.warnings)
    # this server counts nothing: nobody says that it was free
    assert card.facts()["answers"]["cost"].startswith("unknown") and "cost unknown" in str(answers)
    assert card.facts()["answers"]["answer tokens"] == "unknown"


def test_cost_goes_on_counting_and_stands_on_the_card(tmp_path):
    with Backend() as server:
        teacher = OpenAIGenerator(server.url, "fake", prices=(1e6, 2e6))
        generate(["a"], teacher, tmp_path / "s.jsonl")
        first = generate(["a", "b too long"], teacher, tmp_path / "s.jsonl")
        again = generate(["a", "b too long"], teacher, tmp_path / "s.jsonl")
    assert first.progress.cost == again.progress.cost == 2 * (7 + 2 * 5)  # cut ones are paid too
    facts = set_card(again).facts()["answers"]
    assert facts["cost"] == "34.0000" and facts["price"].startswith("1e+06 and 2e+06")


def test_what_is_counted_now_and_then_costs_at_least():
    meter = ProgressMeter(3, 0, 0, None, (1e6, 1e6))
    meter.count((1, 2), usable=True, again=False)
    meter.count((None, 2), usable=True, again=False)
    meter.count(None, usable=False, again=False)  # no reply, no cost
    assert meter.state().cost_in_words() == "at least 5.00 (1 replies were not counted)"
    assert ProgressMeter(1, 0, 0, None, (1.0, 1.0)).state().cost_in_words() == "0.00"


def test_names_and_reasons_of_others_are_text_in_a_card(answers):
    bad = "<img src=x onerror=alert(1)>\n# Head ![p](http://x) [l](javascript:alert)"

    def verify(row):
        return Verdict(False, f"said '{bad}'")

    filtered = FilterPipeline([filters.verified(verify, name=bad)])(answers.rows)
    named = replace(answers, teacher={**answers.teacher, "name": bad})
    text = set_card(named, prompts=bad, filtered=filtered).to_markdown()
    outside = re.sub(r"`[^`]*`", "", text)
    assert "<img" not in outside and "![p]" not in outside and "(javascript:" not in outside
    assert "\n# Head" not in text and "&lt;img src=x" in text


@pytest.mark.parametrize("bad", ["```\n<img src=x>", "`````\n# Head", "~~~\n<b>", "plain", "`"])
def test_a_block_of_others_words_is_closed_by_its_own_fence_alone(bad):
    first, *inside, last = fenced(bad).splitlines()
    assert first == last and set(first) == {"`"} and len(first) >= 3
    assert inside == bad.splitlines() and not any(line.startswith(first) for line in inside)
