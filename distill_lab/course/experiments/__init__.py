"""The lessons' own experiments, where they are too long for a cell, and results that are kept."""
