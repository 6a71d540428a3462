"""Take the pictures of the page: docs/page.png, and where a folder is given, others to look at.

python tools/page.py [FOLDER]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SHOWN = ROOT / "docs" / "page.png"
PICTURE = ROOT / "examples" / "astronaut.png"
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 600, "height": 800}},
    "dark": {"viewport": {"width": 900, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 375, "height": 740}, "is_mobile": True, "has_touch": True},
}


def main(folder: Path | None) -> None:
    """Start the service, and look at its page."""
    line = [sys.executable, "-m", "bigsharp", "serve", "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        found = re.search(r"http\S+", service.stderr.readline())
        assert found is not None
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, view in VIEWS.items():
                page = browser.new_page(**view)
                page.goto(found[0])
                page.locator("#scale").fill("2")
                page.locator("#scale").blur()
                page.locator("#files").set_input_files(PICTURE)
                page.get_by_text("done, 256").wait_for(timeout=300_000)
                if folder is None:
                    page.screenshot(path=SHOWN, full_page=True)
                    Image.open(SHOWN).convert("RGB").save(SHOWN, optimize=True)
                    break
                page.screenshot(path=folder / f"{name}.png", full_page=True)
                page.get_by_text("More options").click()
                page.locator(".exact").click()
                page.locator("#files").set_input_files(ROOT / "README.md")
                page.locator(".error").first.wait_for()
                page.screenshot(path=folder / f"{name}-more.png", full_page=True)
        service.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
