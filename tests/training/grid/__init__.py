"""Combinations of settings, each held against a loop of plain PyTorch that is written by hand.

`axes` says what there is to combine and what does not go together, `covering` chooses cases in
which every two values meet, `problems` makes data and networks, `forms`, `teachers` and `recipes`
say them as a user would. `formulas`, `features` and `by_hand` are the other side:
losses as the papers print them, and one loop. `compare` runs both and prints a case that differs.
"""
