"""Load on the service: requests from many clients at once, and its memory meanwhile.

python speed/serve.py [REQUESTS [CLIENTS]]: by default 10,000 from 50. Each must be served, or
answered 429 or 503; none may be lost.
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

#: Side of the picture that is sent, and of its noise, so that no two bytes are alike.
SIDE = 32


def memory(process: int) -> int:
    """Of a process and its children, in kB of their own that are resident (Linux)."""
    found = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    texts = [Path(f"/proc/{number}/status").read_text() for number in found]
    return sum(int(match[1]) for text in texts if (match := re.search(r"RssAnon:\s*(\d+)", text)))


def picture() -> bytes:
    """A small PNG."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


async def load(address: str, requests: int, clients: int, process: int) -> None:
    """Send them, and print what came back."""
    content, numbers = picture(), iter(range(requests))
    statuses: Counter[str] = Counter()
    sizes: set[int] = set()
    kilobytes: list[int] = []

    async def client(left: Iterator[int]) -> None:
        async with httpx2.AsyncClient(timeout=120) as session:
            for number in left:
                form = {"model": "bicubic", "scale": "2"}
                files = {"file": ("a.png", content)}
                try:
                    answer = await session.post(f"{address}v1/upscale", data=form, files=files)
                    statuses[str(answer.status_code)] += 1
                    if answer.status_code == 200:
                        sizes.add(len(answer.content))
                except httpx2.HTTPError as error:
                    statuses[type(error).__name__] += 1
                if number % (requests // 10 or 1) == 0:
                    kilobytes.append(memory(process))

    began = time.perf_counter()
    await asyncio.gather(*(client(numbers) for _ in range(clients)))
    seconds = time.perf_counter() - began
    print(f"{requests} requests of {clients} clients in {seconds:.1f} s: {dict(statuses)}")
    print(f"sizes of the results: {sorted(sizes)}")
    print("memory in MB:", *(round(value / 1024) for value in kilobytes))


def main(requests: int = 10_000, clients: int = 50) -> None:
    """Start a service and load it."""
    line = [sys.executable, "-m", "bigsharp", "serve", "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        address = re.search(r"http\S+", service.stderr.readline())
        assert address is not None
        asyncio.run(load(address[0], requests, clients, service.pid))
        service.terminate()
        print("it said:", service.stderr.read().strip())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
