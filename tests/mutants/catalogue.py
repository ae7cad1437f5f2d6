"""Every mutant there is."""

from tests.mutants import on_divergences, on_features, on_sequences, on_the_engine

MUTANTS = [
    *on_divergences.MUTANTS,
    *on_sequences.MUTANTS,
    *on_features.MUTANTS,
    *on_the_engine.MUTANTS,
]
