"""Metrics beyond PSNR and SSIM, by name; each runs on a library that may be missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array

#: Takes the restored and the HR image, (H, W) or (H, W, 3) in [0, 255], the border shaved.
Metric = Callable[[Array, Array], float]

#: For its two poolings to leave a pixel.
_ALEXNET_SMALLEST = 31


class MetricMissing(BigsharpError):
    """A metric cannot be used here; the message says why, and what to do."""


def _open_ifc() -> Metric:
    import pyrtools  # noqa: F401

    from bigsharp.benchmark.ifc import ifc

    return ifc


def _open_lpips() -> Metric:
    """R. Zhang et al., "The unreasonable effectiveness of deep features …", CVPR 2018; AlexNet."""
    import torch
    import torchvision  # noqa: F401
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()

    def distance(image: Array, reference: Array) -> float:
        if min(image.shape[:2]) < _ALEXNET_SMALLEST:
            smallest = f"{_ALEXNET_SMALLEST} × {_ALEXNET_SMALLEST}"
            raise ValueError(f"LPIPS needs {smallest} pixels inside the border")
        pair = [
            # A single channel is shown to the network as grey.
            torch.tensor(np.broadcast_to(np.atleast_3d(one), (*one.shape[:2], 3)) / 255)
            for one in (image, reference)
        ]
        with torch.inference_mode():
            return float(network(*(one.permute(2, 0, 1)[None].float() for one in pair)))

    return distance


#: The extra that brings the library, and what opens the metric.
_METRICS: dict[str, tuple[str, Callable[[], Metric]]] = {
    "ifc": ("bench", _open_ifc),
    "lpips": ("lpips", _open_lpips),
}
NAMES = tuple(_METRICS)


@cache
def open_metric(name: str) -> Metric:
    """Make a metric ready.

    Parameters
    ----------
    name : {"ifc", "lpips"}
        Information fidelity criterion (more is better), or the learned distance LPIPS (less is).

    Returns
    -------
    callable
        Takes the restored and the HR image, gives a float.

    Raises
    ------
    MetricMissing
        Its library or the library's weights are not here.
    BigsharpError
        There is no such metric.
    """
    if name not in _METRICS:
        raise errors.unknown("metric", name, NAMES)
    extra, open_it = _METRICS[name]
    try:
        return open_it()
    except ImportError as error:
        library = error.name or "a library"
        raise MetricMissing(errors.install(f"{name} needs", library, extra)) from None
    except (OSError, RuntimeError) as error:
        # Weights that must be downloaded once and cannot be, or libraries that do not fit together.
        raise MetricMissing(f"{name} cannot be used ({error})") from None


def usable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics that can be used here, and why each of the others cannot.

    Raises
    ------
    BigsharpError
        There is no such metric.
    """
    opened, reasons = [], []
    for name in names:
        try:
            open_metric(name)
        except MetricMissing as reason:
            reasons.append(str(reason))
        else:
            opened.append(name)
    return opened, reasons
