"""Peak memory: models whose peak is known by counting, and two witnesses of torch's own."""

import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from distill_lab.evaluation import PeakMemory, measure_peak_memory
from distill_lab.teachers import freeze


class Scratch(nn.Module):
    """Takes `sizes` floats one after the other, and gives each back before the next."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x):
        for size in self.sizes:
            torch.empty(size)
        return x


def test_a_layer_and_its_relu_are_alive_together():
    net = nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Linear(50, 3))
    result = measure_peak_memory(net, torch.rand(10, 6))
    assert result.working == 2 * 10 * 50 * 4  # then the first is let go and 10 x 3 are added
    assert result.weights == 4 * (6 * 50 + 50 + 50 * 3 + 3)
    assert result.total == result.weights + result.working and result.batch == 10


def test_an_operation_in_place_needs_no_second_copy():
    net = nn.Sequential(nn.Linear(6, 50), nn.ReLU(inplace=True))
    assert measure_peak_memory(net, torch.rand(10, 6)).working == 10 * 50 * 4


def test_what_was_given_back_counts_once():
    x = torch.rand(1, 1)
    assert measure_peak_memory(Scratch(1000, 1000, 1000), x).working == 4000
    assert measure_peak_memory(Scratch(10, 5000, 20), x).working == 20_000


def test_neither_the_inputs_nor_earlier_tensors_count():
    kept = [torch.rand(10_000)]
    assert measure_peak_memory(Scratch(), torch.rand(1000, 10)) == PeakMemory(0, 0, 1000)
    assert len(kept) == 1


def test_shared_weights_count_once_and_buffers_count():
    tied = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    tied[1].weight = nn.Parameter(tied[0].weight.data.t())  # another view of the same memory
    tied.register_buffer("extra", torch.zeros(10))
    assert measure_peak_memory(tied, torch.rand(1, 8)).weights == 4 * (64 + 10)


@pytest.mark.parametrize("kind", ["convolution", "attention"])
def test_torchs_profiler_sees_the_same_peak(kind):
    if kind == "convolution":
        net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        x = torch.rand(4, 3, 16, 16)
    else:
        net, x = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), torch.rand(2, 30, 32)
    net.eval()
    with torch.inference_mode():
        net(x)
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profiler:
            net(x)
    events = profiler.profiler.kineto_results.events()
    now = peak = 0
    for event in sorted(
        (e for e in events if e.name() == "[memory]"), key=lambda event: event.start_ns()
    ):
        now += event.nbytes()
        peak = max(peak, now)
    result = measure_peak_memory(net, x).working
    assert result == peak > 0


class LiveStorages(TorchDispatchMode):
    """Adds up the storages that operations return while they live; what they hold inside is not."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.sizes = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tree_leaves((args, kwargs)):
            self.note(tensor, 0)  # an input is the caller's
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            self.note(tensor, 1)
        return out

    def note(self, tensor, share):
        if isinstance(tensor, torch.Tensor):
            storage = tensor.untyped_storage()
            if (key := storage._cdata) not in self.sizes:
                self.sizes[key] = share * storage.nbytes()
                self.now += self.sizes[key]
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self.free, key)

    def free(self, key):
        self.now -= self.sizes.pop(key)


def test_storages_counted_one_by_one_have_the_same_peak():
    layers = nn.Linear(6, 50), nn.Tanh(), nn.Linear(50, 200), nn.ReLU(), nn.Linear(200, 3)
    net, x = nn.Sequential(*layers), torch.rand(10, 6)
    with torch.no_grad(), LiveStorages() as storages:
        net(x)
    assert measure_peak_memory(net, x).working == storages.peak == 2 * 10 * 200 * 4


@pytest.mark.slow
def test_measuring_writes_nothing_to_the_screen():
    code = (
        "import torch; from distill_lab.evaluation import measure_peak_memory as m; "
        "m(torch.nn.Linear(2, 2), torch.rand(1, 2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_model_is_left_in_the_mode_it_came_in():
    seen = []

    class Watching(nn.Dropout):
        def forward(self, x):
            seen.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    net = Watching().train()
    measure_peak_memory(net, torch.rand(2, 3))
    assert seen == [(False, False)] * 2 and net.training
    assert measure_peak_memory(freeze(nn.Linear(3, 2)), torch.rand(1, 3)).weights == 32


def test_a_model_that_breaks_leaves_no_profiler_behind():
    class Breaks(nn.Module):
        def forward(self, x):
            if torch.autograd._profiler_enabled():
                raise RuntimeError("broken")
            return x

    with pytest.raises(RuntimeError, match="broken"):
        measure_peak_memory(Breaks(), torch.rand(1, 1))
    assert not torch.autograd._profiler_enabled()
    measure_peak_memory(nn.Identity(), torch.rand(1, 1))


def test_bad_input_gets_a_sentence():
    with pytest.raises(ValueError, match="there are no inputs"):
        measure_peak_memory(nn.Identity(), torch.rand(0, 3))
    with pytest.raises(TypeError, match="expected a torch module"):
        measure_peak_memory("net", torch.rand(1, 3))
    with pytest.raises(RuntimeError, match="the model is on meta"):
        measure_peak_memory(nn.Linear(3, 2, device="meta"), torch.rand(1, 3))
    with (
        torch.autograd.profiler.profile(use_kineto=False),
        pytest.raises(RuntimeError, match="one is running already"),
    ):
        measure_peak_memory(nn.Identity(), torch.rand(1, 3))


def test_it_can_be_read():
    assert str(PeakMemory(3000, 500, 1)) == "3,500 bytes (3,000 weights, 500 working)"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_cuda_it_is_the_allocators_own_peak():
    net = nn.Sequential(nn.Linear(64, 1000), nn.ReLU(), nn.Linear(1000, 3)).cuda()
    other = torch.zeros(1_000_000, device="cuda")  # another's memory is not the model's
    result = measure_peak_memory(net, torch.rand(256, 64))
    assert 2 * 256 * 1000 * 4 <= result.working <= 2 * 256 * 1000 * 4 + 64_000 and len(other)
