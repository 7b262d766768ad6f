"""The first photo: ``make demo``, or ``python examples/demo.py [PHOTO…]`` where mien is installed.

Without a photo it takes the portrait of Grace Hopper (1984, US Navy, public domain) that matplotlib ships.
"""

import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

OUT = Path("demo")


def portrait() -> Path:
    """A copy of the portrait in ``demo/``."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        sys.exit("The portrait comes with matplotlib, which is not installed. Name a photo: make demo PHOTO=photo.jpg")
    shipped = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    OUT.mkdir(exist_ok=True)
    return Path(shutil.copyfile(shipped, OUT / "portrait.jpg"))


def main() -> int:
    """Run the command that a user would type, and show it."""
    photos = [word for word in sys.argv[1:] if word] or [str(portrait())]
    command = ["mien", "predict", *photos, "--draw", str(OUT / "drawn"), "--out", str(OUT / "table.csv")]
    print(f"$ {shlex.join(command)}\n", flush=True)
    program = shutil.which("mien", path=Path(sys.executable).parent) or "mien"
    return subprocess.run([program, *command[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
