"""Take the picture of a flow run's page: `python docs/run_graph.py SERVER FLOW_RUN_ID docs/run-graph.png`.

SERVER is the address of Prefect's UI, for example http://127.0.0.1:4200. Needs Chromium on the PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: The page draws its graph after several requests; this much of the page's own time lets them end.
_PAGE_MILLISECONDS = 30_000


def main(server: str, run: str, picture: str) -> None:
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(_BROWSERS)} is on the PATH")
    with TemporaryDirectory() as profile:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--window-size=1500,1000",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={_PAGE_MILLISECONDS}",
            f"--screenshot={Path(picture).resolve()}",
        ]
        address = f"{server.rstrip('/')}/runs/flow-run/{run}"
        subprocess.run([browser, *options, address], check=True, timeout=180, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(*sys.argv[1:4])
