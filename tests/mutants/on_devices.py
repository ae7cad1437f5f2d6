# ruff: noqa: E501 - a test's full name does not break
"""Mistakes in where and in which numbers a job computes, what it keeps of it, and how it samples."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "the-processor-is-best",
        "A job that names no device runs on the CPU of a machine with a GPU.",
        "",
        "_util/devices.py",
        "        return torch.device([*counts][-1])",
        "        return torch.device([*counts][0])",
        "jobs/test_devices.py::test_an_encoder_learns_on_the_accelerator_from_its_first_step_to_its_report",
    ),
    Mutant(
        "adapters-over-a-base-in-eval-mode",
        "A base model stays in eval mode under its adapters, so its own dropout never acts.",
        "measured here: transformers loads in eval mode, and a loop looks at the outermost module",
        "jobs/language_models.py",
        "return get_peft_model(student, config).train()",
        "return get_peft_model(student, config)",
        "jobs/test_adapters.py::test_a_checkpoint_holds_the_adapters_alone_and_goes_on_bit_for_bit",
    ),
    Mutant(
        "adapters-go-on-over-another-base",
        "Adapters of a checkpoint are put over a base model that has become another one since.",
        "",
        "training/known_again.py",
        'known["base"] = of_tensors(base.items())',
        'known["base"] = len(base)',
        "training/test_same_parts.py::test_adapters_go_on_over_their_own_base_alone",
    ),
    Mutant(
        "measured-with-rounded-rotations",
        "A bfloat16 student is measured with its rotary table rounded too, which no loaded model has.",
        "measured here: module.to(bfloat16) rounds buffers that are not saved",
        "jobs/language_models.py",
        "if name in names and tensor.is_floating_point():",
        'if (name in names or "inv_freq" in name) and tensor.is_floating_point():',
        "jobs/test_adapters.py::test_adapters_kept_alone_are_a_folder_of_peft_that_says_what_was_measured[half student]",
    ),
    Mutant(
        "own-text-with-a-penalty-on-repetition",
        "A student's generation_config bends what it writes: its samples are of another distribution.",
        "D12 of our trial: on-policy sampled with Qwen's repetition_penalty of 1.05",
        "methods/writing.py",
        "**{name: NEUTRAL[name] for name in own} | sampling,",
        "**sampling,",
        "methods/test_on_policy.py::test_a_students_own_settings_do_not_bend_what_it_writes_and_that_is_said[repetition_penalty, min_p]",
    ),
    Mutant(
        "a-teachers-own-cuts-forgotten",
        "A local teacher whose generation_config says top_k = 20 is drawn from its whole softmax.",
        "",
        "teachers/text/local.py",
        "processors.append(SeededSampler(requests, width, cuts))",
        "processors.append(SeededSampler(requests, width))",
        "teachers/text/test_local.py::test_a_models_own_settings_count_as_in_its_own_generate[top k-1.0]",
    ),
    Mutant(
        "tokens-counted-on-the-device",
        "How many tokens count is read from the GPU in every step, which waits for it.",
        "measured here: mask.nonzero() of a moved batch",
        "models/scores_at.py",
        "        here = batch.at_hand",
        "        here = batch",
        "training/test_reading.py::test_a_silent_step_on_texts_reads_nothing_from_the_device_either[tokens(jsd, T=1.0, alpha=1.0, beta=0.5)]",
    ),
]
