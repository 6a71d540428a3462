"""What a benchmark is of: how pictures are spoiled, how much, and what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bigsharp import errors
from bigsharp.benchmark.methods import INPUT, THEN
from bigsharp.defaults import MODEL
from bigsharp.errors import BigsharpError
from bigsharp.restoration.models import CLEANERS
from bigsharp.restoration.restorer import BICUBIC
from bigsharp.scoring import protocol as protocols
from bigsharp.scoring.protocol import PROTOCOLS, Rules


@dataclass(frozen=True)
class Benchmark:
    """What is scored, and under which rules.

    Attributes
    ----------
    name : str
    rules : tuple of Rules
        One protocol; of photographs one for each quality of JPEG.
    strengths : tuple of float
        Scales, or σ of noise, or qualities of JPEG, by the rules' degradation.
    methods : tuple of str
        What is compared: first what restores nothing, last the released model that is for it.
    data : tuple of str
        The sets that what is released is measured on.
    published : str
        The published table beside it; empty where there is none.
    """

    name: str
    rules: tuple[Rules, ...]
    strengths: tuple[float, ...]
    methods: tuple[str, ...]
    data: tuple[str, ...]
    published: str = ""

    @property
    def enlarges(self) -> bool:
        """Whether pictures are restored at a scale; else at their own size."""
        return self.rules[0].degradation == "bicubic"

    @property
    def qualities(self) -> tuple[float, ...]:
        """Of the JPEG that LR images go through; empty where they go through none."""
        return tuple(rules.quality for rules in self.rules if rules.quality is not None)

    @property
    def note(self) -> str:
        """The protocols in words, to stand beside every table."""
        return "; ".join(f"protocol {rules.name}: {rules.description}" for rules in self.rules)

    def changed(
        self,
        *,
        scales: Sequence[float] | None = None,
        levels: Sequence[float] | None = None,
        methods: Sequence[str] | None = None,
        protocol: str = "published",
        border: int | None = None,
        colour: str = "y",
        rounded: bool = True,
    ) -> Self:
        """The same, changed where that is asked for.

        Parameters
        ----------
        scales : sequence of float, optional
            Of what enlarges.
        levels : sequence of float, optional
            σ of noise, or qualities of JPEG.
        methods : sequence of str, optional
        protocol : {"published", "8bit-lr"}
            Of what enlarges; the other tasks have a protocol each.
        border, colour, rounded
            As `bigsharp.scoring.protocol.choose` takes them.

        Raises
        ------
        BigsharpError
            It has no scales, or no levels, or another protocol; or one of these is unknown.
        """
        if not self.enlarges and scales:
            raise BigsharpError(f"`scales`: {self.name} keeps a picture's size; give `levels`")
        if not self.enlarges and protocol != "published":
            raise BigsharpError(f"`protocol` is for upscaling; {self.name} has its own")
        if levels and self.enlarges and not self.qualities:
            others = "denoise, deblock or photo"
            raise BigsharpError(f"`levels` is of noise and JPEG; give `task` {others}")
        strengths = (scales if self.enlarges else levels) or self.strengths
        qualities = (levels if self.enlarges else None) or self.qualities or (None,)
        rules = tuple(
            protocols.choose(
                protocol if self.enlarges else self.rules[0].name,
                border=border,
                colour=colour,
                rounded=rounded,
                quality=quality,
            )
            for quality in qualities
        )
        methods = tuple(methods or self.methods)
        return replace(self, rules=rules, strengths=tuple(strengths), methods=methods)


_SCALES = (2, 3, 4)
_SETS = ("Set5", "Set14", "B100", "Urban100")

BENCHMARKS: Mapping[str, Benchmark] = {
    each.name: each
    for each in (
        Benchmark(
            "upscale", (PROTOCOLS["published"],), _SCALES, (BICUBIC, MODEL), _SETS, "benchmark"
        ),
        Benchmark(
            "denoise",
            (PROTOCOLS["denoise"],),
            (15, 25, 50),
            (INPUT, CLEANERS["denoise"]),
            ("BSD68",),
            "denoise",
        ),
        Benchmark(
            "deblock",
            (PROTOCOLS["deblock"],),
            (10, 20, 30, 40),
            (INPUT, CLEANERS["deblock"]),
            ("classic5",),
            "deblock",
        ),
        Benchmark(
            "photo",
            tuple(protocols.choose(quality=quality) for quality in (30, 50, 70, 90)),
            _SCALES,
            (BICUBIC, MODEL, f"{CLEANERS['deblock']}{THEN}{MODEL}"),
            ("Set5", "Set14", "classic5", "B100"),
        ),
    )
}


def choose(name: str) -> Benchmark:
    """A task by name.

    Raises
    ------
    BigsharpError
        There is no such task.
    """
    if name not in BENCHMARKS:
        raise errors.unknown("task", name, BENCHMARKS)
    return BENCHMARKS[name]
