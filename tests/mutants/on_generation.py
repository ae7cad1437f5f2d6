# ruff: noqa: E501 - a test's full name does not break
"""Mistakes where a student writes: temperatures, silent cuts, its own words taken for labels."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "drawn-at-one-temperature-scored-at-another",
        "The temperature is applied twice when the student writes, and once when it is scored.",
        "slime pull request 2085; verl pull request 5592",
        "methods/writing.py",
        '"temperature": float(self.temperature), "top_k"',
        '"temperature": float(self.temperature) ** 2, "top_k"',
        "methods/test_on_policy.py::test_own_words_scored_as_they_were_drawn_give_the_reverse_kl[2.0]",
    ),
    Mutant(
        "generation-cuts-to-fifty-words",
        "Generation keeps its own default, the 50 likeliest tokens: rare words are never practised.",
        "",
        "methods/writing.py",
        '"temperature": float(self.temperature), "top_k": 0, "top_p": 1.0}',
        '"temperature": float(self.temperature)}',
        "methods/test_on_policy.py::test_no_word_is_left_out_however_rare",
    ),
    Mutant(
        "answers-without-their-end",
        "The token that closes an answer is left out of the labels: the student never learns to stop.",
        "",
        "data/templates.py",
        "answer[-1] == end):\n            return answer\n",
        "answer[-1] == end):\n            return answer[:-1]\n",
        "data/test_tokenized.py::test_only_the_answer_and_its_end_are_learned",
    ),
    Mutant(
        "own-samples-as-labels",
        "Half the loss is cross-entropy on the student's own samples: it is taught to be sure of itself.",
        "ms-swift issue 6857",
        "methods/on_policy.py",
        "base = tokens(kind, T=T, beta=beta)",
        "base = tokens(kind, T=T, beta=beta, alpha=0.5)",
        "methods/test_on_policy.py::test_a_student_that_agrees_with_its_teacher_learns_nothing_from_its_own_words",
    ),
    Mutant(
        "exam-of-other-questions",
        "Prompts too long to read are left out of an exam in silence: answers are held against the questions of others.",
        "",
        "jobs/measuring.py",
        "    if prompts.too_long:",
        "    if False:",
        "jobs/test_running.py::test_a_student_sits_an_exam_of_ones_own",
    ),
    Mutant(
        "an-interrupt-goes-on-asking",
        "An interrupt ends the run and not its asking: requests go on behind its back, and are paid for.",
        "",
        "teachers/text/openai_server.py",
        "loop.call_soon_threadsafe(asking.cancel)",
        "pass",
        "teachers/text/test_openai_server.py::test_an_interrupt_waits_for_no_answer",
    ),
    Mutant(
        "the-licence-ends-at-the-answers",
        "A student trained on a file of generated answers does not carry the warnings of the file's card.",
        "",
        "jobs/setups/language_model.py",
        "return [card for card in cards if card.is_file()]",
        "return []",
        "jobs/test_running.py::test_a_student_of_generated_answers_carries_their_warnings",
    ),
    Mutant(
        "balance-by-the-clock",
        "The rows that balance keeps depend on how long each answer took: no run gives the same set again.",
        "",
        "synthesis/filters.py",
        'if key not in ("seconds", "tries", "model", "fingerprint")',
        "",
        "synthesis/test_filters.py::test_balance_keeps_the_same_whatever_the_time_an_answer_took",
    ),
]
