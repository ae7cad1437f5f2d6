"""Run something asynchronous to its end, from a script or from inside a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run it here, or in a thread of its own where a loop is running already, as in Jupyter.

    Ctrl-C ends it in both cases, after what is under way was cancelled.
    """
    if not _inside_a_loop():
        asyncio.run(work)
        return
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    failed: list[BaseException] = []
    ended = threading.Event()  # a join that Ctrl-C has broken takes the thread for dead (CPython)

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            failed.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            ended.set()

    thread = threading.Thread(target=run, name="generate", daemon=True)
    thread.start()
    try:
        ended.wait()
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        ended.wait()
        raise
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
