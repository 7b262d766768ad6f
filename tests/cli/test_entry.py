import subprocess
import sys

import pytest

import mien as package
from mien.cli import VERBS, entry
from mien.schema.errors import MienError


def test_help_lists_every_verb_with_its_purpose(mien) -> None:
    for words in ((), ("--help",), ("-h",), ("help",)):
        code, out, err = mien(*words)
        assert (code, err) == (0, "")
        assert all(f"  {verb} " in out and purpose in out for verb, (_, purpose) in VERBS.items())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(mien, verb: str) -> None:
    code, out, _ = mien(verb, "--help")
    assert code == 0
    assert f"mien {verb}" in out


def test_version(mien) -> None:
    assert mien("--version") == (0, f"mien {package.__version__}\n", "")


def test_an_unknown_verb_is_one_line_with_the_nearest(mien) -> None:
    code, out, err = mien("predikt", "photo.jpg")
    assert (code, out) == (2, "")
    assert err == "mien: There is no command 'predikt'. Did you mean: predict? `mien --help` lists them all.\n"


def raising(error: BaseException):
    def run(arguments: list[str]) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(MienError("mend this"), 2, "mien: mend this\n"), (KeyboardInterrupt(), 130, "\nmien: interrupted\n")],
)
def test_what_a_user_can_mend_has_no_traceback(mien, monkeypatch, error, code: int, said: str) -> None:
    monkeypatch.setattr(entry, "resolve", lambda target: raising(error))
    assert mien("predict") == (code, "", said)


def test_our_own_faults_keep_their_traceback(mien, monkeypatch) -> None:
    monkeypatch.setattr(entry, "resolve", lambda target: raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        mien("predict")


def test_a_reader_that_stops_reading_is_no_fault() -> None:
    code = (
        "import os, sys\nfrom mien.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "sys.stdout.reconfigure(line_buffering=True)\nsys.exit(main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mien.cli import main\nmain(['--help'])\n"
        "print({'numpy', 'cv2', 'openvino', 'torch', 'tyro', 'rich', 'mien.recipes'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, check=True)
    assert package.__version__ in done.stdout
