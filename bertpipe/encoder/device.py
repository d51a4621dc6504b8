"""Which devices there are and which precision they are good at; no torch for a CPU."""

import os
from importlib.util import find_spec
from pathlib import Path

from bertpipe.errors import ConfigError

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8", "bf16-openvino")
# Precisions of the extra, with the numbers of what is not quantised.
OPENVINO = {"int8": "bf16", "bf16-openvino": "bf16"}
# Measured: batches beyond the cache of a CPU core are slower, a GPU wants all it can get.
BATCH_TOKENS = {"cpu": 1_536, "cuda": 32_768}
BATCH_TOKENS_OPENVINO = 1_024


def n_cpus() -> int:
    """Return how many CPUs this process may use: its affinity, and the cgroup's quota."""
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_cpus()))


def _cgroup_cpus() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return 1 << 30
    return 1 << 30 if quota == "max" else max(1, int(quota) // int(period))


def available_memory() -> int:
    """Return the bytes that new processes may take without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 40


def list_devices(device: str) -> list[str]:
    """Return the devices that `auto`, `cpu`, `cuda` or `cuda:0,cuda:1` stands for."""
    if device == "auto":
        return _cuda_devices() or ["cpu"]
    if device == "cuda":
        devices = _cuda_devices()
        if not devices:
            raise ConfigError("device cuda was asked for, but none is visible; use device cpu.")
        return devices
    names = [name.strip() for name in device.split(",")]
    for name in names:
        if name != "cpu" and not (name.startswith("cuda:") and name[5:].isdigit()):
            raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N.")
    return names


def _cuda_devices() -> list[str]:
    # Without the driver's files there is no need to load torch to know.
    if not Path("/dev/nvidiactl").exists() and not Path("/dev/dxg").exists():
        return []
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def resolve_precision(precision: str, device: str) -> str:
    """Return a precision by name; `auto` is bf16 where the processor multiplies it natively."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r} is unknown; use {', '.join(PRECISIONS)}.")
    if precision == "fp16" and device == "cpu":
        raise ConfigError("precision fp16 is for GPUs; on a CPU use bf16, fp32 or auto.")
    if precision in OPENVINO and device != "cpu":
        raise ConfigError(f"precision {precision} is for CPUs; on a GPU use bf16, fp16 or auto.")
    if precision in OPENVINO and not _has_openvino():
        raise ConfigError(
            f"precision {precision} needs OpenVINO: pip install 'bertpipe[openvino]'."
        )
    if precision != "auto":
        return precision
    return "bf16" if _has_bf16(device) else "fp32"


def precisions_of(device: str) -> list[str]:
    """Return the precisions that are worth a trial on a device, fp32 first."""
    found = ["fp32", "bf16"] if _has_bf16(device) else ["fp32"]
    if device.startswith("cuda"):
        return [*found, "fp16"]
    return [*found, *OPENVINO] if _has_openvino() else found


def _has_openvino() -> bool:
    return find_spec("openvino") is not None and find_spec("nncf") is not None


def _has_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def default_batch_tokens(device: str, precision: str) -> int:
    """Return the token budget of a batch on this kind of device."""
    if precision in OPENVINO:
        return BATCH_TOKENS_OPENVINO
    return BATCH_TOKENS[device.partition(":")[0]]
