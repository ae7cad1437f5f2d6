"""Data: batches that know their examples, tokenised texts, fingerprints, and the data sets."""
