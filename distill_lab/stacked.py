"""Networks of one architecture, run as one: their parameters gain a leading seed dimension."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from distill_lab.answers import logits_of
from distill_lab.batches import Batch
from distill_lab.methods import Method
from distill_lab.seed_data import Heard
from distill_lab.teachers import Live


class Stacked(nn.Module):
    """S networks of one architecture, run as one: (S, B, ...) or (B, ...) -> (S, B, classes).

    Raises ValueError for no network, or for networks whose parameters differ in shape.
    """

    def __init__(self, models: list[nn.Module]) -> None:
        super().__init__()
        if not models:
            raise ValueError("there are no seeds: give at least one, for example seeds=range(5).")
        shapes = [[(n, p.shape) for n, p in m.named_parameters()] for m in models]
        if any(other != shapes[0] for other in shapes):
            raise ValueError(
                "the networks differ in their parameters, so they cannot run as one: make them "
                "from one recipe that uses the seed for the initial weights only."
            )
        params, buffers = stack_module_state(models)
        self.seeds = len(models)
        # the recipe is kept out of parameters(): only its structure is used
        self._recipe = (copy.deepcopy(models[0]).requires_grad_(False),)
        self._names = list(params)
        self.stacked = nn.ParameterList([nn.Parameter(p.detach()) for p in params.values()])
        self._buffers_by_name = buffers

    @property
    def recipe(self) -> nn.Module:
        """The network whose structure they share; its own parameters stand for nothing."""
        return self._recipe[0]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and buffers by the single network's names, each with a leading S."""
        return dict(zip(self._names, self.stacked, strict=True)), self._buffers_by_name

    def one(self, params: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Run the single network with given parameters, as torch.vmap needs it."""
        recipe = self._recipe[0].train(self.training)
        return logits_of(lambda x: functional_call(recipe, params, (x,)), inputs)

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """All networks' answers; ``shared`` gives every seed the same inputs (B, ...)."""
        params, buffers = self.state()
        run = torch.vmap(self.one, in_dims=(0, None if shared else 0), randomness="different")
        return run({**params, **buffers}, inputs)

    def model(self, i: int) -> nn.Module:
        """Seed number i as an ordinary network of its own."""
        params, buffers = self.state()
        single = copy.deepcopy(self._recipe[0])
        kept = single.state_dict().keys()  # a buffer that is not saved is the recipe's own
        every = {**params, **buffers}.items()
        single.load_state_dict({k: v[i].detach().clone() for k, v in every if k in kept})
        return single.requires_grad_(True)


class Scored(nn.Module):
    """One seed's student, projections and teacher as modules that take given parameters.

    So a method finds ordinary networks inside the vmap, which it may tap, each with the parameters
    of the seed at hand.
    """

    def __init__(
        self, method: Method, stacks: dict[str, Stacked], model: nn.Module | None,
        heard: Heard | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.method, self.heard = method, heard
        self.stacks = (stacks,)  # in a tuple: only their recipes are modules of this one
        self.student = stacks["student"].recipe.train()
        self.projections = method.projections  # the very modules that the method calls
        inside = stacks["teacher"].recipe.eval() if "teacher" in stacks else model
        self.teacher = inside
        self.ask = None if inside is None else Live(inside)

    def state(self) -> dict[str, Tensor]:
        """Everything that has a seed axis, by the names it has in this module."""
        found: dict[str, Tensor] = {}
        for part, stack in self.stacks[0].items():
            for tensors in stack.state():
                found |= {f"{part}.{name}": tensor for name, tensor in tensors.items()}
        return found

    def one(
        self,
        state: dict[str, Tensor],
        x: Tensor,
        y: Tensor | None,
        said: dict[str, Tensor] | None,
    ) -> dict[str, Tensor]:
        """One seed's terms, as torch.vmap needs them."""
        return functional_call(self, state, (Batch(x, y, torch.empty(0, dtype=torch.long)), said))

    def forward(self, batch: Batch, said: dict[str, Tensor] | None) -> dict[str, Tensor]:
        answer = None if self.heard is None or said is None else self.heard.whole(said)
        return self.method.terms(batch, self.student, self.ask or (lambda _: answer))
