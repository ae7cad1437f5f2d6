"""Many seeds at once: one batched model in place of a Python loop over runs.

Every tensor gains a leading seed dimension S. The students' parameters are stacked, one
``torch.vmap`` runs all of them, and because the seeds share nothing, the gradient of the summed
loss is each seed's own gradient.

- `stacked` networks of one architecture, run as one; `runs` those that have been trained
- `data` what each seed reads, `heard` what its teacher says about that, asked once
- `training` the loop
"""

from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import Stacked
from distill_lab.seeds.training import distill_seeds

__all__ = ["SeedRuns", "Stacked", "distill_seeds"]
