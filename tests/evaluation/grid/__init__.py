"""Reports on models and data of each kind, every figure of them worked out by hand beside it.

`axes` says what there is to combine and what does not go together, `problems` makes examples and
networks, `forms` says both as a user would. `by_hand` is the other side: figures, intervals and
tests in NumPy, scikit-learn and SciPy. `compare` runs both and prints a case that differs. The
cases, in which every two values meet, are chosen by the grid of trainings' `covering`.
"""
