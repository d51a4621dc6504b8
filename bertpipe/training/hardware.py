"""Say on what kind of machine a training ran."""

from pathlib import Path

from bertpipe.encoder.device import list_devices, n_cpus

WIDTHS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}  # the first that is there


def describe_hardware() -> str:
    """Return the class of the device that `auto` takes: the GPU, or the cores and their width."""
    device = list_devices("auto")[0]
    if device != "cpu":
        import torch

        return f"one {torch.cuda.get_device_name(device)}"
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        flags = set()
    width = next((f" with {name}" for flag, name in WIDTHS.items() if flag in flags), "")
    n_cores = n_cpus()
    return f"{n_cores} CPU core{'s' if n_cores > 1 else ''}{width}"
