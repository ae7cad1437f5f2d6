"""Many seeds at once: one batched model in place of a Python loop over runs.

Every tensor gains a leading seed dimension S. The students' parameters are stacked, one
`torch.vmap` runs all of them, and because the seeds share nothing, the gradient of the summed
loss is each seed's own gradient.

- `stacked` networks of one architecture and their data, run as one; `runs` those that were trained
- `cached_targets` what each seed's teacher says, asked once
- `training` the loop
"""

from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import Stacked
from distill_lab.seeds.training import distill_seeds

__all__ = ["SeedRuns", "Stacked", "distill_seeds"]
