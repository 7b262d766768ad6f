"""Whether an exported graph answers as the network does: in every runtime, on noise and on real inputs."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.runtime.session import Arrays, OnnxSession, OpenVINOSession, Session
from mien.schema.errors import BundleError
from mien.schema.inputs import FlagSpec, InputSpec, LandmarkSpec, PictureSpec

TOLERANCE = 1e-3
"""Largest difference from torch, relative to the largest value of the output (at least 1)."""

MIN_SAME_PICTURES = 0.8
"""Least share of pictures in which a detector's graph has to find what the network finds, to ``TOLERANCE``."""

PARITY_BATCHES = (1, 5)


def compare(
    module: nn.Module,
    graph: bytes,
    specs: Mapping[str, InputSpec],
    samples: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, Any]:
    """How far the graph's answers are from the module's, in every runtime that is installed.

    Returns:
        By runtime ``max_abs``, ``argmax_agreement`` of the logits (if there are any), ``agreement`` of a detector's
        pictures, and ``rows``.

    Raises:
        BundleError: if they differ by more than ``TOLERANCE``, or the most probable class differs where the
            two most probable are not that close.
    """
    sessions: dict[str, Session] = {"openvino": OpenVINOSession(graph, specs=specs)}
    if find_spec("onnxruntime"):
        sessions["onnxruntime"] = OnnxSession(graph, specs=specs)
    batches = [*_noise(specs), *([dict(samples)] if samples else [])]
    with torch.no_grad():
        wanted = [
            {
                name: tensor.numpy()
                for name, tensor in module(**{k: torch.from_numpy(v) for k, v in batch.items()})._asdict().items()
                if tensor is not None
            }
            for batch in batches
        ]
    return {runtime: _parity(runtime, session, batches, wanted) for runtime, session in sessions.items()}


def _parity(
    runtime: str, session: Session, batches: list[dict[str, NDArray[Any]]], wanted: list[dict[str, NDArray[Any]]]
) -> dict[str, Any]:
    worst, agree, rows = 0.0, 0, 0
    for batch, want in zip(batches, wanted, strict=True):
        found = session(**batch)
        _check_shapes(runtime, found, want)
        if "pred_boxes" in want:
            differences = _query_differences(found, want)
            same = differences <= TOLERANCE
            agree += int(same.sum())
            worst = max(worst, float(differences[same].max(initial=0.0)))
        else:
            worst = max(worst, _largest_difference(runtime, found, want))
        if "logits" in want:
            agree += _same_answers(runtime, found["logits"], want["logits"])
        rows += len(next(iter(want.values())))
    if "pred_boxes" in wanted[0]:
        if agree < MIN_SAME_PICTURES * rows:
            raise BundleError(
                f"The exported graph is not the trained model: in {runtime} it finds other faces in {rows - agree} of "
                f"{rows} pictures. It was not kept."
            )
        return {"max_abs": worst, "agreement": agree / rows, "rows": rows}
    answers = {"argmax_agreement": agree / rows} if "logits" in wanted[0] else {}
    return {"max_abs": worst, **answers, "rows": rows}


def _check_shapes(runtime: str, found: Arrays, want: Arrays) -> None:
    if set(found) != set(want):
        raise BundleError(f"The graph in {runtime} has the outputs {sorted(found)}, the module {sorted(want)}")
    for name, values in want.items():
        if found[name].shape != values.shape:
            raise BundleError(f"{name!r} is {found[name].shape} in {runtime} and {values.shape} in torch")


def _largest_difference(runtime: str, found: Arrays, want: Arrays) -> float:
    worst = 0.0
    for name, values in want.items():
        difference, scale = float(np.abs(found[name] - values).max()), max(1.0, float(np.abs(values).max()))
        if not difference <= TOLERANCE * scale:
            raise BundleError(
                f"The exported graph is not the trained model: {name!r} differs by {difference:.2g} in {runtime}, "
                f"allowed: {TOLERANCE * scale:.2g}. It was not kept."
            )
        worst = max(worst, difference)
    return worst


def _query_differences(found: Arrays, want: Arrays) -> NDArray[np.float64]:
    """How far the queries of each picture are from those of torch, whatever their order, ``[N]``.

    A detector's queries are the best places of the picture, in order. Where two are all but equally good, rounding
    swaps them or, at the end of the list, puts one in the place of another, which changes what all others see.
    """
    answers = [
        np.concatenate([one["pred_boxes"], one["pred_logits"] / max(1.0, float(np.abs(want["pred_logits"]).max()))], 2)
        for one in (found, want)
    ]
    return np.array(
        [np.abs(own[:, None] - other[None]).max(2).min(1).max() for other, own in zip(*answers, strict=True)],
        np.float64,
    )


def _same_answers(runtime: str, found: NDArray[Any], wanted: NDArray[Any]) -> int:
    same = found.argmax(1) == wanted.argmax(1)
    ranked = np.sort(wanted, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 2 * TOLERANCE * max(1.0, float(np.abs(wanted).max()))
    if (clear & ~same).any():
        raise BundleError(f"The exported graph answers another class than torch in {runtime}. It was not kept.")
    return int(same.sum())


def _noise(specs: Mapping[str, InputSpec]) -> Iterator[dict[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(0)
    for size in PARITY_BATCHES:
        yield {name: _drawn(spec, size, rng) for name, spec in specs.items()}


def _drawn(spec: InputSpec, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Normal noise for faces and sound, even for pictures, places in the crop for landmarks, 0 or 1 for flags."""
    if isinstance(spec, LandmarkSpec):
        return rng.uniform(0, spec.size_px, (size, *spec.shape)).astype(np.float32)
    if isinstance(spec, FlagSpec):
        return rng.integers(0, 2, size).astype(np.float32)
    if isinstance(spec, PictureSpec):
        return rng.random((size, *spec.shape), np.float32)
    return rng.normal(size=(size, *spec.shape)).astype(np.float32)
