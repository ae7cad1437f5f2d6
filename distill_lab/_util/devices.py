"""Where tensors may be: the best device of this machine, or one by name."""

import torch


def find_device(name: str | torch.device | None = None) -> torch.device:
    """The device of this name; without one, the best there is.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" and so on; None: an accelerator before the CPU.

    Returns:
        The device.

    Raises:
        ValueError: For one that is not there, naming what is.

    >>> find_device("cpu")
    device(type='cpu')
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    counts = {"cpu": 1}
    if accelerator is not None:
        counts[accelerator.type] = torch.accelerator.device_count()
    if name is None:
        return torch.device([*counts][-1])
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):  # no name of torch's
        device = None
    if device is not None and (device.index or 0) < counts.get(device.type, 0):
        return device
    there = [*counts, *(f"{kind}:{i}" for kind, n in counts.items() if n > 1 for i in range(n))]
    raise ValueError(f"there is no device {str(name)!r} here: choose from {', '.join(there)}.")
