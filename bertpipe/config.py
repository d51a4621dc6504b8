"""Settings of a run and of its encoders, read from `.cfg` files and command line overrides."""

from dataclasses import dataclass

TRUNCATIONS = ("window", "head", "error")


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder is run; None and "auto" are settled when the model and device are known.

    max_length, stride, batch_tokens count tokens; max_length None is the most the model takes.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_tokens: int | None = None
    max_length: int | None = None
    stride: int = 64
    truncation: str = "window"
    offline: bool = False
