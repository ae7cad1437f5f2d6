"""The one visible loop: forward, terms, backward, clip, step, log, checkpoint."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.interrupts import stop_on_interrupt
from distill_lab._util.runtime import memory_kept, modes_kept, own_randomness, progress_line
from distill_lab._util.wrappers import OutputReader, eager
from distill_lab.data.batches import Data, as_data, drawn, epoch_order, reading, sampler_of
from distill_lab.data.forms import Collate
from distill_lab.losses.reference import InfiniteTermError
from distill_lab.methods import Method, kd, supervised
from distill_lab.methods.by_teacher import shown_by_teacher
from distill_lab.methods.positions import cutting
from distill_lab.models.networks import Read
from distill_lab.teachers import Teacher, as_teacher
from distill_lab.teachers.live import no_grad_of
from distill_lab.training.callbacks import EarlyStoppingState, TrainStep
from distill_lab.training.config import TrainingConfig, takes_settings
from distill_lab.training.distributed import DistributedContext
from distill_lab.training.gradients import (
    GradFiniteCheck,
    grad_norm_shares,
    name_inference_mode,
    name_lone_example,
    name_numpy_answer,
    name_other_dtype,
    share_of_one,
    warn_of_idle_terms,
)
from distill_lab.training.history import History, TermLog
from distill_lab.training.lookups import check_lookups
from distill_lab.training.nonfinite import nonfinite_examples
from distill_lab.training.optim import make_optimizer, skips_by_itself, trainable_parameters
from distill_lab.training.places import check_places
from distill_lab.training.run_state import RunState

NO_LABELS = (
    "a whole epoch has nothing to learn from: every label in it is ignored, every candidate masked "
    "out, or all weighs 0. Look at how labels, masks and weights were made."
)
NO_GRADIENT = (
    "no term of method {} depends on the student: does it detach the logits, or run the student "
    "under no_grad?"
)


@takes_settings()
def distill(
    student: nn.Module,
    data: Data,
    *,
    teacher: nn.Module | Teacher | None = None,
    method: Method | None = None,
    collate: Collate | None = None,
    workers: int = 0,
    **settings: Any,
) -> History:
    """Train a student in place and return the history of its named terms.

    Ctrl-C ends the run after the step at hand and keeps history and weights; so does SIGTERM, as
    Slurm and Kubernetes send it. With `checkpoint=` the run is saved then, and
    `history.interrupted` says so. The caller's own random state is left as it was. A term that
    gives under 1 % of the gradient is warned of once, at the first step (with a teacher that
    follows the student, at the second measurement); how a term fades later is in `history.shares`,
    without a word: it may have been learned.

    Args:
        student: the network; what it returns are logits, an object or dict that has them, or what
            `read=` finds them in.
        data: (inputs, labels), a dict, a Dataset, `Texts`, or another form that `as_data` takes.
        teacher: a frozen network, or any function from a batch to logits or a signal.
        method: what is minimised; without it `kd()` where there is a teacher, else `supervised()`.
        collate: makes a batch of rows, as that of a DataLoader; for rows of different lengths.
        workers: processes that read a Dataset ahead; the bits stay the same.
        settings: those of `TrainingConfig`, by name: epochs, batch_size, lr and so on.

    Returns:
        A history: `history["kd"]` has that term's value at every step.

    Raises:
        ValueError: for settings, data or a teacher that cannot work, each in words.
        TypeError: for a setting that there is not.
        FloatingPointError: when a term or a gradient stops being finite, naming it and the step.

    >>> import torch
    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> distill(MLP(4, 2), data, epochs=3, batch_size=8, progress=False).steps
    12
    """
    config = TrainingConfig.of(distill, settings)
    if not isinstance(student, nn.Module):
        raise TypeError(
            f"the student must be a torch module, which has weights to learn; got "
            f"{type(student).__name__}. A function may be the teacher."
        )
    source = as_data(data, collate, workers)
    teacher = None if teacher is None else as_teacher(teacher, student, source)
    method = method or (supervised() if teacher is None else kd())
    method.check_teacher(teacher)
    if hasattr(teacher, "choose"):
        method = shown_by_teacher(method, teacher)
    parameters = trainable_parameters(student, method)
    sampler = config.sampler or sampler_of(source, config.batch_size)
    own_order = sampler is not None
    size = len(epoch_order(len(source), config.seed, 0, sampler)) if own_order else len(source)
    steps_per_epoch, steps = config.length(size)

    dist = DistributedContext(parameters[0].device, config.precision, config.device)
    fixed_teacher = no_grad_of(teacher)
    scorer = _as_asked(student, config.read)  # in the methods' place of the student
    config.check_pieces(source, scorer, method, dist.size, size, teacher)
    dist.prepare(student, method.projections, teacher)
    if not own_order and config.accumulate == dist.size == 1 and size <= config.batch_size:
        check_places(source, scorer, teacher)
    check_lookups(source, scorer, teacher)
    finite = GradFiniteCheck(parameters)
    read_every = config.reading_interval(dist.device, each=dist.scaler.is_enabled())
    found_inf = finite.found_inf if read_every > 1 else None
    optimizer = make_optimizer(config, student, parameters, found_inf, method.projections)
    if not skips_by_itself(optimizer):
        read_every = 1
    rates = config.learning_rates(optimizer, steps_per_epoch, steps)
    history = History(steps_per_epoch)
    draw = partial(drawn, len(source), config.batch_size, config.seed, sampler=sampler)
    draw = partial(draw, drop_last=config.drop_last)

    def nonfinite_at(step: int) -> str:
        batch = source.batch(next(index for _, index in draw(first=step - 1, last=step)))
        return nonfinite_examples(batch.to(dist.device), scorer, teacher)

    log = TermLog(history, student, method, read_every, config.checkpoint, nonfinite_at)
    early_stopping = EarlyStoppingState(config.early_stopping, student, dist, config.best, scorer)
    run = RunState(
        config, dist, source, student, method, teacher, optimizer, early_stopping, history
    )
    follow = getattr(teacher, "follow", None)  # a teacher that learns from the student, as EMA does
    # when idle terms are warned of: later one may fade because it has been learned, and a teacher
    # that follows is, at first, the student itself
    first_look = 1 if follow is None else 1 + config.shares_every
    save_every = (config.checkpoint_every or steps_per_epoch) if config.checkpoint else steps
    grad_scale = _GradScale(method.weights, dist)
    modules = (student, method.projections)
    # not whether one batch is cut: a run may be resumed at an epoch's short last
    cut = config.accumulate * dist.size > 1
    no_values = [torch.zeros((), device=dist.device)] * len(method.weights)

    with (
        own_randomness(config.seed + dist.rank, dist.device),
        memory_kept(dist.device),
        stop_on_interrupt() as stop,
        progress_line(config.progress if dist.main else False, method.title or method.name) as show,
        modes_kept(*modules),
        cutting(cut),
        reading(source) as start_reading,
    ):
        done = start = run.resume()
        began = time.perf_counter() - history.seconds
        idle_steps = 0  # in a row, in which nothing counted
        looked = False  # whether the method has looked at a piece, where batches are cut
        partial_step = False  # whether an interruption left a step half taken
        for module in modules:
            if module is not None and not module.training:  # or its submodules keep their modes
                module.train()
        try:
            end = start if early_stopping.over else steps  # a finished run is only read back
            order = partial(draw, first=start, last=end)
            coming = ((i, part) for i, s in order() for part in dist.shard(s, config.accumulate))
            read = start_reading(coming)
            for number, index in order():
                partial_step = True
                measure = config.shares_every > 0 and number % config.shares_every == 0
                shares: dict[str, float] = {}
                values = list(no_values)

                # A term is a mean over the n_i examples (or tokens) of piece i that it counts.
                # Weighing it by n_i / n, with n counted over all pieces of all processes, gives the
                # mean over the batch: however it is cut, the step is the same. A term that counts
                # nothing, as that of the labels where no example has one, is 0. Terms that compare
                # examples with each other see one piece only, and shares are of the first piece.
                pieces = [read(part) for part in dist.shard(index, config.accumulate)]
                if method.prepare is not None:
                    pieces = [method.prepare(piece.to(dist.device), scorer) for piece in pieces]
                if not looked and pieces:
                    # one that counts nothing may hold features that the method has not met yet
                    looked, unseen = True, cut or not any(method.counts(pieces[0]).values())
                    if unseen and method.look is not None:  # a resumed run draws nothing anew
                        first_piece = pieces[0].to(dist.device)
                        with own_randomness(0, dist.device), modes_kept(student), torch.no_grad():
                            student.eval()
                            method.look(first_piece, scorer, fixed_teacher)  # type: ignore[arg-type]
                # (undivided, and on a device that the host would wait for, it needs no counting)
                undivided = len(pieces) == dist.size == 1
                counts = [
                    dict.fromkeys(method.weights, 1)
                    if undivided and piece.labels is not None and not piece.labels.is_cpu
                    else method.counts(piece)
                    for piece in pieces
                ]
                totals = dist.sums_of([sum(c[name] for c in counts) for name in method.weights])
                total_counts = dict(zip(method.weights, totals, strict=True))
                idle_steps = 0 if any(totals) else idle_steps + 1
                if idle_steps == steps_per_epoch:
                    raise ValueError(NO_LABELS)
                for parameter in parameters:  # as zero_grad() does, without its bookkeeping
                    parameter.grad = None
                for piece, count in zip(pieces, counts, strict=True):
                    if not any(count.values()):
                        continue
                    with dist.autocast(), eager(student, when=measure and not shares):
                        piece = piece.to(dist.device)
                        try:
                            # where the method asks no teacher there may be none
                            terms = method.terms(piece, scorer, fixed_teacher)  # type: ignore[arg-type]
                        except RuntimeError as error:
                            name_inference_mode(error)
                            name_other_dtype(error, scorer, teacher, piece)
                            raise
                        except InfiniteTermError as error:
                            where = nonfinite_examples(piece, scorer, teacher, ruled_out=True)
                            raise InfiniteTermError(f"{error} {where}".strip()) from error
                        except (TypeError, ValueError, AttributeError) as error:
                            name_numpy_answer(error, teacher, piece)
                            name_lone_example(error, piece)
                            raise
                    method.check(terms)
                    terms = {name: term for name, term in terms.items() if count[name]}
                    if measure and not shares and len(terms) > 1:
                        shares = grad_norm_shares(terms, method.weights, parameters)
                    # backward from every term at once, each with its weight: the gradient of the
                    # weighted sum, without the operations that would spell the sum out
                    fractions = {name: count[name] / total_counts[name] for name in terms}
                    weighted_terms = {n: term for n, term in terms.items() if term.requires_grad}
                    if not weighted_terms:
                        raise ValueError(NO_GRADIENT.format(method.name))
                    torch.autograd.backward(
                        list(weighted_terms.values()),
                        [grad_scale(n, term, fractions[n]) for n, term in weighted_terms.items()],
                    )
                    if measure and not shares and len(terms) == 1:
                        shares = share_of_one(next(iter(terms)), parameters)
                    for i, name in enumerate(method.weights):
                        if name in terms:
                            part, value = fractions[name], terms[name].detach()
                            more = values[i] + part * value.to(dist.wide) if part != 1 else value
                            values[i] = more
                values = dist.sum(values)
                dist.sum_gradients(parameters)

                # Where a value or a gradient is not finite nothing moves: a step along a NaN would
                # destroy the weights. It is found at the next reading; until then the optimizer
                # stands still by itself.
                norm = None
                if config.clip is not None and idle_steps == 0:
                    dist.scaler.unscale_(optimizer)
                    norm = nn.utils.clip_grad_norm_(parameters, config.clip)
                looked_at = [] if read_every == 1 else [value.to(dist.device) for value in values]
                if not dist.scaler.is_enabled():  # a scaler skips such a step by itself
                    looked_at += finite.gradients() if norm is None else [norm]
                finite.update(looked_at)
                log.add(values, finite.found_inf, norm, shares)

                lr = rates.set(number)
                if idle_steps == 0:
                    dist.scaler.step(optimizer)
                    dist.scaler.update()
                dist.average_buffers(student, method.projections)
                if follow is not None:
                    follow(student)
                done = number + 1
                history.seconds = time.perf_counter() - began
                # before anybody may interrupt: a checkpoint of this step has what was measured
                measured = early_stopping.update(done, steps, history)
                partial_step = False

                if done == first_look:
                    warn_of_idle_terms(shares, done)
                show(log.read if dist.size == 1 else lambda: log.latest, done, steps)
                if done % save_every == 0 and done < steps:
                    log.read()
                    run.save(done)
                if config.callbacks and dist.main:
                    epoch, terms_now = number // steps_per_epoch, log.read()
                    seen = TrainStep(done, steps, epoch, lr, terms_now, shares, measured, student)
                    # what looks on changes nothing: its draws are its own, other ones each step
                    with own_randomness(config.seed + done, dist.device), modes_kept(*modules):
                        for callback in config.callbacks:
                            if callback(seen):  # not |=, which would forget a Ctrl-C meanwhile
                                stop.asked = True
                if dist.any(stop.asked) or early_stopping.over:
                    break
        except KeyboardInterrupt:  # from a callback, or a second Ctrl-C
            stop.interrupted = True
        history.interrupted = stop.interrupted
        log.read()
        if done > start and not partial_step:
            run.save(done)
        if done == steps or early_stopping.over:
            early_stopping.finish(history)
    return history


def _as_asked(student: nn.Module, read: Read | None) -> nn.Module:
    """The student as methods ask it: its output read, and in its own dtype where it has one."""
    dtypes = {p.dtype for p in student.parameters() if p.is_floating_point()}
    own = dtypes.pop() if len(dtypes) == 1 else torch.float32
    if read is None and own == torch.float32:
        return student
    return OutputReader(student, read, None if own == torch.float32 else own)


class _GradScale:
    """What a term's gradient is multiplied by: its weight, its piece's fraction, fp16's scale."""

    def __init__(self, weights: Mapping[str, float], dist: DistributedContext) -> None:
        self.weights, self.scaler = weights, dist.scaler
        self.usual: dict[str, Tensor] = {}  # of an undivided batch, made once

    def __call__(self, name: str, term: Tensor, fraction: float) -> Tensor:
        weight = self.weights[name]
        if fraction != 1 or self.scaler.is_enabled():
            return self.scaler.scale(torch.full_like(term, weight * fraction))
        if name not in self.usual:
            self.usual[name] = torch.full_like(term, weight)
        return self.usual[name]
