"""A cache on a bad day: killed, out of disk, torn, written twice. Real processes, real files."""

import json
import multiprocessing
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from distill_lab.data.batches import as_data
from distill_lab.teachers import Cached, cache, keep
from distill_lab.teachers.cached import files

N = 120
DATA = (torch.arange(N, dtype=torch.float32)[:, None] * torch.ones(3), None)


class Quick:
    identity = "Slow-1"  # says the same as the child's

    def __init__(self):
        self.asked = []

    def __call__(self, batch):
        self.asked += batch.ids.tolist()
        return batch.inputs.repeat(1, 20) * torch.tensor([1.0, -2.0, 0.5] * 20)


class Slow(Quick):
    """Notes whom it was asked about before it answers, and takes its time over it."""

    def __init__(self, log, pause):
        super().__init__()
        self.log, self.pause = log, pause

    def __call__(self, batch):
        with open(self.log, "a") as file:
            file.write(f"{int(batch.ids[0])} {int(batch.ids[-1])}\n")
        time.sleep(self.pause)
        return super().__call__(batch)


def made(folder, who=None, **settings):
    settings = {"signal": keep.dense("float32"), "batch_size": 4, "progress": False} | settings
    return cache(who or Quick(), DATA, folder, **settings)


def cache_slowly(pipe, folder, log, pause, limit):
    torch.set_num_threads(1)
    files.COMMIT_SECONDS = 0.02
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    pipe.send("ready")
    try:
        made(folder, Slow(log, pause))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        sys.exit(1)


def child(folder, log, *, pause=0.0, limit=0):
    """A process that caches, and where its error comes out: a fork, which imports nothing anew."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=cache_slowly, args=(there, folder, log, pause, limit))
    process.start()
    there.close()
    assert here.recv() == "ready"
    return process, here


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files.FILES}


def whole():
    return as_data(DATA).batch(torch.arange(N))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_killed_again_and_again_it_asks_only_for_what_is_missing(tmp_path):
    folder, log, draw = tmp_path / "cache", tmp_path / "log", random.Random(0)
    vouched = [0]
    for _ in range(4):
        process, _ = child(folder, log, pause=0.01)
        time.sleep(draw.uniform(0.0, 0.15))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        vouched.append(files.read_progress(folder)["examples"])
    assert vouched == sorted(vouched) and vouched[-1] > 0
    spans = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    starts = [first for i, (first, _) in enumerate(spans) if i == 0 or first <= spans[i - 1][0]]
    assert set(starts) <= set(vouched)  # each went on exactly where the one before was vouched for

    quick = Quick()
    resumed = made(folder, quick)
    assert quick.asked == list(range(vouched[-1], N))
    torch.testing.assert_close(resumed(whole()), Quick()(whole()))
    straight = made(tmp_path / "straight")
    assert contents(folder) == contents(tmp_path / "straight")  # bit for bit
    assert resumed.identity == straight.identity


def test_killed_while_anything_was_half_written_it_goes_on(tmp_path):
    """Whatever was appended and not vouched for is cut off, a torn line of progress too."""
    done = made(tmp_path / "straight")
    for torn in ("index.bin", "signals.bin", "progress.jsonl"):
        folder = tmp_path / torn
        interrupted(folder, 40)
        with open(folder / torn, "ab") as file:
            file.write(b'{"examples": 99, "index.bin"' * 2000)  # more than will be overwritten
        quick = Quick()
        assert made(folder, quick).identity == done.identity
        assert quick.asked == list(range(40, N))


def interrupted(folder, after):
    def stops(batch):
        if batch.ids.max() >= after:
            raise KeyboardInterrupt
        return Quick()(batch)

    stops.identity = Quick.identity
    with pytest.raises(KeyboardInterrupt):
        made(folder, stops)
    assert files.read_progress(folder)["examples"] == after


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("limit", [400, 2500, 4000])
def test_a_full_disk_is_told_and_what_was_written_stays(tmp_path, limit):
    """The system itself refuses: no file of the child may grow beyond the limit."""
    folder, log = tmp_path / "cache", tmp_path / "log"
    process, errors = child(folder, log, pause=0.02, limit=limit)
    last = errors.recv()
    process.join(60)
    assert process.exitcode == 1
    assert "OSError" in last and "could not write the cache" in last and "to go on" in last
    with pytest.raises((ValueError, FileNotFoundError), match=r"not finished|no cache"):
        Cached(folder)
    quick, before = Quick(), files.read_progress(folder)["examples"]
    resumed = made(folder, quick)
    assert quick.asked == list(range(before, N))
    assert before > 0 or limit == 400  # there the manifest itself did not fit
    assert contents(folder) == contents(made(tmp_path / "straight").path)
    assert torch.equal(resumed(whole()), made(tmp_path / "straight")(whole()))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_full(tmp_path):
    folder = tmp_path / "cache"
    interrupted(folder, 40)
    before = contents(folder), (folder / "progress.jsonl").read_bytes()
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left on device") as caught,
        files.Writer(folder) as writer,
    ):
        writer._files["signals.bin"].close()
        writer._files["signals.bin"] = full
        writer.append(4, b"0" * 64, b"0" * 960)  # the index takes it, the signals do not
    assert caught.value.errno == 28 and "free some space" in str(caught.value)
    assert before[1] == (folder / "progress.jsonl").read_bytes()  # nothing more was vouched for
    assert before[0]["signals.bin"] == (folder / "signals.bin").read_bytes()
    quick = Quick()
    made(folder, quick)
    assert quick.asked == list(range(40, N))


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("name", files.FILES)
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_a_torn_cache_is_refused(tmp_path, finished, name, how):
    if finished:
        made(tmp_path)
    else:
        interrupted(tmp_path, 40)
    path = tmp_path / name
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        path.unlink()
    words = "other bytes than were written" if how == "flipped" else "is torn: .* bytes where"
    for call in (lambda: made(tmp_path), lambda: Cached(tmp_path)):
        with pytest.raises(ValueError, match=words if finished else f"{words}|not finished") as e:
            call()
    assert "Delete the folder" in str(e.value) or not finished
    with pytest.raises(ValueError, match=words):
        made(tmp_path)


def test_a_finished_file_that_grew_is_refused(tmp_path):
    made(tmp_path)
    with open(tmp_path / "signals.bin", "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match="28,804 bytes where 28,800 were written"):
        Cached(tmp_path, verify=False)


def test_every_flipped_bit_is_noticed(tmp_path):
    made(tmp_path)
    draw = random.Random(0)
    for _ in range(20):
        path = tmp_path / draw.choice(files.FILES)
        raw = path.read_bytes()
        flip(path, draw.randrange(len(raw)))
        with pytest.raises(ValueError, match="other bytes"):
            Cached(tmp_path)
        path.write_bytes(raw)
    flip(tmp_path / "signals.bin", 5)
    Cached(tmp_path, verify=False)  # asked not to look


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "torn or no manifest"),
        ('{"format": "distill-lab cache 1", "about"', "torn or no manifest"),
        ("[]", "torn or no manifest"),
        ('{"format": "distill-lab cache 99"}', "not written by this version"),
    ],
    ids=["empty", "cut", "list", "version"],
)
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path, text, words):
    made(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    for call in (lambda: made(tmp_path), lambda: Cached(tmp_path)):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_manifest_in_which_something_was_changed_by_hand(tmp_path):
    made(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["signals.bin"]["crc32"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="checksum differs"):
        Cached(tmp_path)


def test_torn_progress_is_refused(tmp_path):
    interrupted(tmp_path, 40)
    (tmp_path / "progress.jsonl").write_text("{]\n")
    with pytest.raises(ValueError, match=r"progress.jsonl is torn"):
        made(tmp_path)


def test_no_cache_is_no_cache(tmp_path):
    with pytest.raises(FileNotFoundError, match="make one with cache"):
        Cached(tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_of_two_writers_the_second_is_refused_and_readers_are_not(tmp_path):
    folder, log = tmp_path / "cache", tmp_path / "log"
    process, _ = child(folder, log, pause=0.05)
    try:
        while not log.exists():
            time.sleep(0.01)
        with pytest.raises(BlockingIOError, match=f"process {process.pid} is writing the cache"):
            made(folder)
    finally:
        process.kill()
        process.join()
    resumed = made(folder)  # a dead process holds no lock
    others = [child(folder, log)[0] for _ in range(2)]  # finished: they only read
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    assert torch.equal(Cached(folder)(whole()), resumed(whole()))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="choose another path"):
        made(tmp_path / "file" / "cache")
