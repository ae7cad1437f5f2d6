"""A run of `generate` under fire: a proxy that spoils answers, and SIGKILL at random moments.

    python -m tests.synthesis.fault_runs FOLDER [--prompts 1500] [--faults 1000] [--kills 50]

Prints one JSON object: what was injected, and what of the files is wrong (nothing, that is).
Each attempt is a fork, so that the packages are imported once; the servers live in a fork of their
own, so that no thread is lost by the others.
"""

import argparse
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from distill_lab.synthesis import OpenAIGenerator, generate
from distill_lab.teachers.text import session
from tests.synthesis.http import Backend, FaultProxy, count

session.FIRST_WAIT, session.LONGEST_PAUSE = 0.01, 0.1
ODD = {"say nothing": "empty", "too long": "truncated", "forbidden": "refused"}


def prompts(number: int) -> list[str]:
    """Questions of which every tenth can only be answered in an unusable way."""
    odd = list(ODD)
    return [f"question {i}" + (f" {odd[i % 3]}" if i % 10 == 9 else "") for i in range(number)]


def attempt(folder: Path, port: int, number: int) -> None:
    teacher = OpenAIGenerator(
        f"http://127.0.0.1:{port}/v1", "fake", timeout=0.6, tries=20, concurrency=16
    )
    generate(prompts(number), teacher, folder / "answers.jsonl", max_new_tokens=9)


def in_a_fork(work) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)
    return pid


def serve(ports: Path, share: float, faults: int, seed: int) -> None:
    backend = Backend()
    proxy = FaultProxy(backend.port, share, faults, seed)
    ports.write_text(f"{backend.port} {proxy.port}")
    signal.pause()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--prompts", type=int, default=2500)
    options.add_argument("--faults", type=int, default=1000)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    began, chance = time.monotonic(), random.Random(arguments.seed)
    written = arguments.folder / "ports"
    servers = in_a_fork(lambda: serve(written, 0.45, arguments.faults, arguments.seed))
    while not written.exists() or " " not in written.read_text():
        time.sleep(0.01)
    backend, proxy = map(int, written.read_text().split())
    try:
        killed = attempts = failed = 0
        while True:
            attempts += 1
            passed = count(proxy)["passed"]
            pid = in_a_fork(lambda: attempt(arguments.folder, proxy, arguments.prompts))
            if killed < arguments.kills:
                # a moment in its work, not on the clock: a fast machine would be done before
                due = passed + chance.randint(1, max(1, arguments.prompts // (2 * arguments.kills)))
                while count(proxy)["passed"] < due and not _ended(pid):
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.01)
                if not _ended(pid):
                    os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                killed += 1
            elif os.WEXITSTATUS(status):
                failed += 1
            else:
                break
            if failed > 20:
                break
        before = count(backend)["asked"]
        os.waitpid(in_a_fork(lambda: attempt(arguments.folder, proxy, arguments.prompts)), 0)
        asked_after = count(backend)["asked"] - before
        clean = arguments.folder / "clean"  # the same run, with nothing in its way
        os.waitpid(in_a_fork(lambda: attempt(clean, backend, arguments.prompts)), 0)
        result = verdict(arguments.folder, arguments.prompts)
        result["same file"] = content(arguments.folder) == content(clean)
        result |= {
            "killed": killed,
            "attempts": attempts,
            "stopped by itself": failed,
            "injected": count(proxy)["injected"],
            "asked of the server": before,
            "asked after the end": asked_after,
            "seconds": round(time.monotonic() - began, 1),
        }
    finally:
        os.kill(servers, signal.SIGKILL)
        os.waitpid(servers, 0)
    print(json.dumps(result))


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def content(folder: Path) -> list[list[str]]:
    """The lines of both files in order, without what differs from run to run."""
    files = []
    for name in ("answers.jsonl", "answers.rejected.jsonl"):
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        kept = [{k: v for k, v in row.items() if k not in ("seconds", "tries")} for row in rows]
        files.append(sorted(json.dumps(row, sort_keys=True) for row in kept))
    return files


def verdict(folder: Path, number: int) -> dict[str, object]:
    """Hold the two files against what was asked."""
    read = {
        name: [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("answers.jsonl", "answers.rejected.jsonl")
    }
    rows, rejected = read.values()
    times = Counter(row["prompt"][0]["content"] for row in [*rows, *rejected])
    wanted = prompts(number)
    kinds = Counter(row["kind"] for row in rejected)
    wrong = sum(row["answer"] != f"answer to {row['prompt'][0]['content']}" for row in rows)
    for row in rejected:
        odd = next((kind for word, kind in ODD.items() if word in str(row["prompt"])), "failed")
        wrong += (row["kind"] not in (odd, "failed")) or not row["reason"]
    return {
        "prompts": number,
        "answered": len(rows),
        "rejected": dict(kinds),
        "wrong": wrong,
        "lost": len(set(wanted) - times.keys()),
        "twice": sum(n > 1 for n in times.values()),
        "strangers": len(times.keys() - set(wanted)),
        "torn": (folder / "answers.torn.txt").exists(),
    }


if __name__ == "__main__":
    main()
