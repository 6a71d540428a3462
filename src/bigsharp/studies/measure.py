"""What is measured of a network: its scores, its recursions' scores, gradients, and its speed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from bigsharp import networks, weights
from bigsharp.benchmark.methods import digest_of
from bigsharp.benchmark.run import benchmark, make_case
from bigsharp.image.arrays import Array
from bigsharp.restoration.restorer import BICUBIC
from bigsharp.scoring import protocol
from bigsharp.scoring.sets import find_images
from bigsharp.studies.results import Outcome
from bigsharp.studies.study import TESTED, Study
from bigsharp.training.recipe import Recipe
from bigsharp.weights.file import SUFFIX

if TYPE_CHECKING:
    from torch import Tensor

    from bigsharp.networks.drcn import DRCN
    from bigsharp.networks.network import Network

#: What gradients are measured on: the first images of the papers' training set, at this scale.
_SET, _IMAGES, _SIDE, _SCALE = "T91", 4, 41, 3

#: Steps that are timed, after one that warms up.
_TIMED = 2


def bicubic(scales: Sequence[float], root: str | Path | None) -> dict[str, float]:
    """PSNR of the ILR images of the test set, by scale."""
    found = benchmark([TESTED], scales, [BICUBIC], root=root)
    return {f"{result.scale:g}": result.mean.psnr for result in found}


def released(name: str) -> dict[str, str]:
    """What names a released model: its weights can be replaced."""
    return {"released": name, "digest": digest_of(weights.path(name, SUFFIX))}


def measured(outcome: Outcome, runs: Path, study: Study, root: str | Path | None) -> Outcome:
    """The outcome with what its network scores: the best checkpoint of a run, or what is released.

    A run that diverged before its first checkpoint has none.
    """
    if "released" in outcome.recipe:
        path = weights.path(outcome.recipe["released"], SUFFIX)
        network = networks.load(path)
    else:
        path = runs / outcome.recipe["name"] / "best.pt"
        network = networks.load(path) if path.exists() else _fresh(outcome)
    outcome = replace(
        outcome, parameters=network.parameter_count, receptive_field=network.receptive_field
    )
    if study.gradients:
        several = {"start": gradients(_fresh(outcome), root), "best": gradients(network, root)}
        outcome = replace(outcome, gradients=several)
    if not path.exists():
        return outcome
    psnr, predictions = {}, {}
    for scale in study.scales:
        first, *others = score(network, scale, root)
        psnr[f"{scale:g}"] = first
        if others:
            predictions[f"{scale:g}"] = others
    elsewhere = {
        data: {f"{scale:g}": score(network, scale, root, data)[0] for scale in study.scales}
        for data in study.also
    }
    mixture = getattr(network, "mixture", None)
    shares = [] if mixture is None else (mixture.detach() / mixture.detach().sum()).tolist()
    return replace(outcome, psnr=psnr, elsewhere=elsewhere, predictions=predictions, weights=shares)


def _fresh(outcome: Outcome) -> Network:
    """The network that a run started from."""
    import torch

    torch.manual_seed(outcome.seed)
    return networks.build(outcome.recipe["architecture"], **outcome.recipe["options"])


def score(
    network: Network, scale: float, root: str | Path | None, data: str = TESTED
) -> list[float]:
    """PSNR on a test set of the output, and behind it of each recursion's own prediction.

    In one pass, whatever the network was trained on: that is what is studied. (The benchmark
    restores as a user does, who is better served by other passes.)
    """
    images = [list(_scores(network, data, path, scale)) for path in find_images(data, root)]
    return [fmean(each) for each in zip(*images, strict=True)]


def _scores(network: Network, data: str, path: Path, scale: float) -> Iterator[float]:
    import torch

    ilr, hr = _pair(data, path, scale)
    with torch.inference_mode():
        predictions = network.eval().predictions(_tensor(ilr / 255))
        several = [network.combine(predictions), *(predictions if len(predictions) > 1 else ())]
    for restored in several:
        yield protocol.score(restored[0, 0].double().numpy() * 255, hr, scale).psnr


def _pair(data: str, path: Path, scale: float) -> tuple[Array, Array]:
    """An image's ILR and HR luma, in [0, 255], under the published protocol."""
    case, hr = make_case(data, path, scale, protocol.PROTOCOLS["published"])
    return protocol.interpolate(case.lr.pixels * 255, hr.shape), hr


def _tensor(image: Array) -> Tensor:
    import torch

    return torch.from_numpy(image).float()[None, None]


def gradients(network: Network, root: str | Path | None) -> list[float]:
    """Norms of the gradient of the mean square error at the state of each recursion, of a DRCN.

    The error of the output; of a network that supervises its recursions, the mean over theirs.
    """
    import torch
    from torch.nn import functional as F

    drcn: DRCN = network.eval()  # type: ignore[assignment]
    pairs = [
        [_tensor(image[:_SIDE, :_SIDE] / 255) for image in _pair(_SET, path, _SCALE)]
        for path in find_images(_SET, root)[:_IMAGES]
    ]
    inputs, targets = (torch.cat(several) for several in zip(*pairs, strict=True))
    states = drcn.features(inputs)
    supervised = states if drcn.ensemble else states[-1:]
    errors = [F.mse_loss(drcn.reconstruct(state, inputs), targets) for state in supervised]
    return [float(g.norm()) for g in torch.autograd.grad(torch.stack(errors).mean(), states)]


def seconds_a_step(recipe: Recipe, device: str) -> float:
    """How long a training step of a recipe takes, on random patches."""
    import torch

    from bigsharp.training.losses import Supervision
    from bigsharp.training.optimizers import make_optimizers

    network = networks.build(recipe.architecture, **recipe.options)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    supervision, optimizers = Supervision(network), make_optimizers(recipe, network)
    hr = torch.rand(recipe.batch, 1, recipe.patch, recipe.patch, device=device)
    ilr = hr.contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(1 + _TIMED):
        began = time.perf_counter()
        supervision(ilr, hr, torch.full((), 0.5, device=device), recipe.loss).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return fmean(seconds[1:])
