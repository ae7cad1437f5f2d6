# ruff: noqa: E501 - a test's full name does not break
"""Mistakes in jobs that no error shows: other classes, other examples, learned padding."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "classes-in-the-order-of-the-alphabet",
        "A job sorts the classes by name, and its teacher numbers them otherwise: every answer is of another class.",
        "",
        "jobs/setups/labels.py",
        "return tuple(str(i) for i in range(len(of_teacher))) if nameless else tuple(of_teacher)",
        "return tuple(str(i) for i in range(len(of_teacher))) if nameless else tuple(sorted(of_teacher))",
        "jobs/test_text_classification.py::test_a_teachers_order_of_classes_is_kept",
    ),
    Mutant(
        "classes-by-the-number-of-their-folder",
        "A folder of held-out pictures lacks a class: those behind it are counted one too low.",
        "",
        "jobs/setups/image_classification.py",
        "    return names.numbers(each, [folder.place(i) for i in range(len(folder))])",
        "    return folder.labels",
        "jobs/test_image_classification.py::test_labels_follow_the_folders_name_and_not_its_number",
    ),
    Mutant(
        "pairs-exported-without-which-text-is-which",
        "An exported ranker does not read which token is of the query and which of the candidate.",
        "",
        "jobs/exportable.py",
        "given = load_tokenizer(str(folder)).model_input_names",
        "given = TOKENS[:2]",
        "jobs/test_forms.py::test_a_form_is_measured_on_the_real_data_beside_its_student[cross-encoder]",
    ),
    Mutant(
        "a-form-that-real-inputs-do-not-reach",
        "A student's other form is tried on made-up inputs alone.",
        "",
        "jobs/exporting.py",
        "filter(None, (None if scaled and asked else probes, asked)):",
        "[probes]:",
        "jobs/test_forms.py::test_a_form_that_is_right_on_made_up_texts_alone_is_not_kept",
    ),
    Mutant(
        "measured-on-pictures-made-anew",
        "The pictures that a job measures on are flipped and moved as those that it learns from.",
        "",
        "jobs/setups/image_classification.py",
        "augment = None if held_out else job.augment",
        "augment = job.augment",
        "jobs/test_recipes_of_jobs.py::test_pictures_are_made_anew_by_seed_and_never_those_that_are_measured",
    ),
    Mutant(
        "answers-to-pictures-that-nobody-sees",
        "The teacher's answers are kept though the pictures are made anew at each step.",
        "",
        "jobs/setups/teaching.py",
        "    if job.asks_live:",
        "    if not job.cache:",
        "jobs/test_recipes_of_jobs.py::test_a_run_on_pictures_made_anew_goes_on_to_the_same_student",
    ),
    Mutant(
        "frequent-classes-weigh-more",
        "The labels of a class weigh as often as it occurs, in place of one over it.",
        "",
        "jobs/setups/classes.py",
        "counts.sum() / (classes * counts), 1.0)",
        "classes * counts / counts.sum(), 1.0)",
        "jobs/test_recipes_of_jobs.py::test_rare_classes_are_drawn_as_often_or_weigh_more",
    ),
    Mutant(
        "padding-has-the-first-tag",
        "The tags of padded places are 0, which is a class: half of what a tagger learns is padding.",
        "",
        "jobs/setups/encoded.py",
        "return Batch(inputs, _padded([self.labels[i] for i in chosen], IGNORE), index)",
        "return Batch(inputs, _padded([self.labels[i] for i in chosen], 0), index)",
        "jobs/test_token_classification.py::test_padding_teaches_nothing",
    ),
    Mutant(
        "a-tag-for-every-piece-of-a-word",
        "Each piece of a word gets the word's tag: long words count several times, and spans are cut.",
        "",
        "jobs/setups/token_classification.py",
        "if word is not None and (place == 0 or words[place - 1] != word):",
        "if word is not None:",
        "jobs/test_token_classification.py::test_a_words_class_stands_at_its_first_token_alone",
    ),
    Mutant(
        "validation-is-learned",
        "A job trains on the rows that it measures on.",
        "",
        "jobs/setups/text_classification.py",
        "        split = examples.held_out if held_out else examples.train",
        "        split = examples.held_out",
        "jobs/test_text_classification.py::test_what_is_measured_on_is_not_learned",
    ),
    Mutant(
        "answers-of-other-examples",
        "Teacher and student order the texts by their own tokens: answers belong to other examples.",
        "",
        "jobs/setups/encoded.py",
        "    return sorted(range(len(texts)), key=lambda number: len(texts[number]))",
        "    return sorted(range(len(texts)), key=lambda number: hash((len(texts[number]), id(texts))))",
        "jobs/test_text_classification.py::test_two_tokenizers_number_the_same_examples_alike",
    ),
    Mutant(
        "kept-answers-of-another-tokenizer",
        "A job takes the teacher's kept distributions though the tokenizer has become another one since.",
        "",
        "jobs/learning/distributions.py",
        "                tokenizer=models.tokenizer,\n",
        "",
        "jobs/test_kept_teacher.py::test_answers_of_others_are_refused",
    ),
    Mutant(
        "kept-at-temperature-1",
        "What is kept of the teacher is its distribution at T = 1, whatever the job's T.",
        "",
        "jobs/learning/distributions.py",
        'return keep.top_k(kept["top_k"], T=self.job.T)',
        'return keep.top_k(kept["top_k"])',
        "jobs/test_kept_teacher.py::test_answers_of_others_are_refused",
    ),
    Mutant(
        "twins-on-both-sides",
        "Rows are held out by their place: the twin of a row that is learned is measured on.",
        "Lee et al. 2021, arXiv:2107.06499: duplicates between training and validation",
        "jobs/held_out.py",
        '    for identity in identities:\n        words = f"{seed} ',
        '    for number, identity in enumerate(identities):\n        words = f"{seed} {number} ',
        "jobs/test_held_out.py::test_twins_stay_together_whatever_their_letter_case_and_spaces[0.5]",
    ),
    Mutant(
        "held-out-rows-are-learned",
        "A share is held out and measured on, and the student learns all rows, these too.",
        "measured here",
        "jobs/rows.py",
        "table = Subset(table, numbers[apart])",
        "table = Subset(table, numbers[True]) if apart else table",
        "jobs/test_validating.py::test_a_share_is_held_out_by_its_questions",
    ),
    Mutant(
        "best-step-named-last-weights-saved",
        "The report names the best step as kept, and the student that is saved is the last.",
        "measured here",
        "jobs/validating.py",
        'restore_best=job.keep != "last"',
        "restore_best=False",
        "jobs/test_validating.py::test_the_last_weights_are_those_of_a_run_that_nobody_measured",
    ),
    Mutant(
        "interrupted-before-it-measured",
        "Who interrupts between a step and its measurement loses it: the run ends at another step.",
        "measured here",
        "training/loop.py",
        """\
                measured = early_stopping.update(done, steps, history)
                partial_step = False

                if done == first_look:
                    warn_of_idle_terms(shares, done)
                show(log.read if dist.size == 1 else lambda: log.latest, done, steps)
""",
        """\
                partial_step = False

                if done == first_look:
                    warn_of_idle_terms(shares, done)
                show(log.read if dist.size == 1 else lambda: log.latest, done, steps)
                measured = early_stopping.update(done, steps, history)
""",
        "training/test_stopping.py::test_who_interrupts_at_a_measured_step_loses_no_measurement[10]",
    ),
    Mutant(
        "tokens-of-the-file-of-before",
        "Kept tokens go by the number of rows: a file that was mended since is not read again.",
        "",
        "jobs/rows.py",
        "[self.table.fingerprint, self.prompt_only]",
        "[len(self.table), self.prompt_only]",
        "jobs/test_rows.py::test_rows_that_are_tokens_are_not_read_again",
    ),
    Mutant(
        "every-seed-the-first",
        "All seeds of a job train with the first one's numbers: an interval of five equal runs.",
        "measured here",
        "jobs/repeating.py",
        "training = dataclasses.replace(job.training, seed=seed)",
        "training = job.training",
        "jobs/test_repeating.py::test_each_seed_is_the_run_of_that_seed_alone_on_the_same_rows",
    ),
    Mutant(
        "seeds-of-different-data",
        "A seed that is added later learns other rows than those before, and joins their mean.",
        "measured here",
        "jobs/repeating.py",
        "if main and (data :=",
        "if False and (data :=",
        "jobs/test_repeating.py::test_more_seeds_later_and_no_others_among_them",
    ),
    Mutant(
        "a-right-answer-that-is-its-working",
        "In an exam the whole worked solution is the right answer, so that no short one passes.",
        "lm-evaluation-harness: GSM8K is scored behind ####",
        "jobs/exam.py",
        "        answer = final_answer(answer)\n",
        "        answer = answer.split()[0]\n",
        "jobs/test_exam.py::test_ones_own_file_is_an_exam_with_one_way_to_verify[csv]",
    ),
    Mutant(
        "a-tracker-is-told-every-text",
        "Whole settings go to a tracker's server: paths, names, and a key that somebody put there.",
        "measured here",
        "jobs/trackers.py",
        "{k: v for k, v in facts if k in TOLD and isinstance(v, str)}",
        "{k: v for k, v in facts if isinstance(v, str)}",
        "jobs/test_trackers.py::test_others_by_name_are_told_numbers_and_chosen_words_alone[wandb]",
    ),
]
