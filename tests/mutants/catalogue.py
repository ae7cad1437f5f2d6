"""Every mutant there is."""

from tests.mutants import (
    on_answers,
    on_data,
    on_divergences,
    on_features,
    on_files,
    on_generation,
    on_jobs,
    on_large_vocabularies,
    on_policies,
    on_runs,
    on_sequences,
    on_the_course,
    on_the_engine,
    on_the_report,
    on_training,
    on_turns,
)

MUTANTS = [
    *on_divergences.MUTANTS,
    *on_sequences.MUTANTS,
    *on_large_vocabularies.MUTANTS,
    *on_features.MUTANTS,
    *on_files.MUTANTS,
    *on_generation.MUTANTS,
    *on_training.MUTANTS,
    *on_policies.MUTANTS,
    *on_turns.MUTANTS,
    *on_data.MUTANTS,
    *on_runs.MUTANTS,
    *on_the_engine.MUTANTS,
    *on_the_report.MUTANTS,
    *on_the_course.MUTANTS,
    *on_answers.MUTANTS,
    *on_jobs.MUTANTS,
]
