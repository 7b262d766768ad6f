"""How long does the first answer take? Start-up of the package and of one photo from the shell."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import Table, Target, arguments, keep_to_cores, portrait, write_page

IMPORT = "import time; start = time.perf_counter(); import mien; print(time.perf_counter() - start)"
LOAD = "import time; start = time.perf_counter(); import mien; mien.load(); print(time.perf_counter() - start)"
TORCH = "import sys, mien; mien.load()({photo!r}); print('torch' in sys.modules)"


def _printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _median(code: str, rounds: int) -> float:
    _printed(code)
    return statistics.median(float(_printed(code)) for _ in range(rounds))


def _shell(photo: Path) -> float:
    """Seconds from the start of the command to its end, table printed."""
    command = [str(Path(sys.executable).with_name("mien")), "predict", str(photo)]
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, compare with the targets, write the page."""
    options = arguments(__doc__)
    keep_to_cores(options.cores)
    rounds = 3 if options.quick else 11
    photo = portrait()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MIEN_CACHE"] = cache
        bare = _median("import time; start = time.perf_counter(); print(time.perf_counter() - start)", rounds)
        imported = _median(IMPORT, rounds)
        first = _shell(photo)
        again = statistics.median(_shell(photo) for _ in range(rounds))
        loaded = _median(LOAD, rounds)
        torch_loaded = _printed(TORCH.format(photo=str(photo))) == "True"
    rows = [
        ("`import mien`", imported - bare),
        ("`mien.load()`, graphs already compiled once", loaded),
        ("`mien predict photo.jpg`, process start to exit", again),
        ("the same with an empty cache (graphs compiled)", first),
    ]
    write_page(
        "start_up",
        question="How long does the first answer take?",
        targets=[
            Target(what="`import mien`", promised="< 0.3 s", measured=f"{imported:.3f} s", met=imported < 0.3),
            Target(what="one photo from the shell", promised="< 1.5 s", measured=f"{again:.2f} s", met=again < 1.5),
            Target(
                what="torch stays out of the process",
                promised="not imported",
                measured="imported" if torch_loaded else "not imported",
                met=not torch_loaded,
            ),
        ],
        tables=[Table(title="Seconds", head=("what", "s"), rows=[(name, f"{s:.3f}") for name, s in rows])],
        packages=("mien", "numpy", "opencv-python-headless", "openvino"),
        notes=(f"Medians of {rounds} fresh processes; the photo has one face in 512 x 600 pixels.",),
        options=options,
    )


if __name__ == "__main__":
    main()
