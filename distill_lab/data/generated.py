"""Examples that nobody collected: a generator makes each one when it is asked for."""

import torch
from torch import nn

from distill_lab._util.checks import positive_int
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch


class Generated:
    """A source of inputs that a generator makes, without labels: a teacher has to answer them.

    Formula: example i is generator(z_i), with z_i ~ N(0, I) drawn once from the seed.

    Only the vectors z are held, and the pictures are made batch by batch, so a hundred thousand
    examples cost a few megabytes. Example i is the same whatever else is in its batch, but for
    rounding. A cache goes by every bit: for one, make the pictures once and keep them as tensors.

    Args:
        generator: a network in eval mode, (B, latent_dim) -> (B, ...).
        latent_dim: numbers in each z.
        examples: how many there are.
        seed: of the vectors z.

    Raises:
        ValueError: for sizes below one, or a generator in training mode, whose batch norm or
            dropout would make an example depend on the others in its batch.

    >>> source = Generated(nn.Linear(2, 9).eval(), latent_dim=2, examples=100, seed=0)
    >>> batch = source.batch(torch.tensor([7, 3]))
    >>> len(source), batch.inputs.shape, batch.labels
    (100, torch.Size([2, 9]), None)
    """

    draws = False  # nothing by chance

    def __init__(
        self, generator: nn.Module, *, latent_dim: int, examples: int, seed: int = 0
    ) -> None:
        size = positive_int("latent_dim", latent_dim)
        count = positive_int("examples", examples)
        rng = torch.Generator().manual_seed(seed)
        self.generator = generator
        self.latents = torch.randn(count, size, generator=rng)
        self._check()

    def __len__(self) -> int:
        return len(self.latents)

    def batch(self, index: torch.Tensor) -> Batch:
        """Make the examples with these numbers (B,), without a graph."""
        self._check()
        with torch.no_grad():
            inputs = self.generator(self.latents.index_select(0, index))
        return Batch(inputs, None, index)

    @property
    def fingerprint(self) -> str:
        """Changes with the generator's weights and with the vectors."""
        latents = fingerprints.of_tensors([("latents", self.latents)])
        return f"{fingerprints.of_model(self.generator)}-{latents}"

    def _check(self) -> None:
        learning = [
            path or "the generator itself"
            for path, module in self.generator.named_modules()
            if module.training
        ]
        if learning:
            raise ValueError(
                f"the generator is in training mode (first: {learning[0]}): an example would "
                "depend on the others in its batch. Use generator.eval()."
            )
