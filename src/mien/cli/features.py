"""``mien features PATH_OR_DATASET``: what an encoder says of each half second of clips and sounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from mien.deploy.features import Report
    from mien.predict.encode import Encoder

NAMED = 10
"""How many clips that could not be read are named; failed.csv has them all."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Write sequences of features: what an encoder says of each half second of every clip or sound.

    DIR then holds manifest.json and part-*.parquet, with the columns key, step, time_s, present and feature. A run that
    was stopped goes on with the parts that are missing.

    Attributes:
        source: name of a dataset (`mien data list`), or a folder, file or pattern of videos, sounds or photos.
        encoder: name or folder of a trained model of single faces or of voices, or a public network: deepspectrum,
            poster_vit, irv1_vggface2, irv1_casia, regnety_016.
        out: folder of the features.
        weights: files of a public network's weights; of poster_vit those of POSTER++ and of ViT-B/16, in this order.
        random: take random weights for a public network, to try things out.
        split: of a dataset, read this split only.
        every: seconds from one step to the next.
        limit: read so many clips only, the first ones.
        data: root of the dataset; by default its folder under $MIEN_DATA.
        device: cpu, or cuda, cuda:1, mps for a GPU (needs the extra `train`).
        part_clips: clips of a part; so many are read again at most when a run was stopped.
        crops: take each photo and frame for one face that is cut out already, without searching for faces.
        strict: exit with 1 if anything could not be read.
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH|DATASET")]
    encoder: Annotated[str, tyro.conf.arg(metavar="NAME|DIR")]
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    weights: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE …")] = ()
    random: bool = False
    split: str | None = None
    every: float = 0.5
    limit: int | None = None
    data: Annotated[Path | None, tyro.conf.arg(metavar="ROOT")] = None
    device: str = "cpu"
    part_clips: int = 64
    crops: bool = False
    strict: bool = False


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien features`` and do it; returns 1 if ``strict`` and a clip failed, else 0."""
    options = tyro.cli(Features, prog="mien features", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    from mien.deploy.encoders import open_encoder
    from mien.deploy.feature_clips import ClipEncoder
    from mien.deploy.feature_sources import find_material
    from mien.deploy.features import extract_features
    from mien.predict.encode import Steps

    steps = Steps(every_s=options.every)
    encoder = open_encoder(options.encoder, weights=options.weights, random=options.random, device=options.device)
    material = find_material(
        options.source, encoder.modality, root=options.data, split=options.split, limit=options.limit
    )
    clips = ClipEncoder(encoder=encoder, steps=steps, reader=material.reader, crops=options.crops)
    report = extract_features(material, clips, options.out, part_clips=options.part_clips)
    _print(report, encoder, options)
    return int(options.strict and bool(report.faults))


def _print(report: "Report", encoder: "Encoder", options: Features) -> None:
    weights = "random weights" if encoder.weights == "random" else f"weights {encoder.weights[:12]}"
    print(f"{encoder.name}, {weights}: {encoder.width} numbers a step, a step every {options.every:g} s")
    kept = f", {report.kept} of them kept from before" if report.kept else ""
    print(f"{report.clips} clips{kept}: {options.out}")
    if report.absent:
        what = "a face" if encoder.modality == "face" else "any sound"
        print(f"{len(report.absent)} without {what} throughout, such as {report.absent[0]}")
    for fault in report.faults[:NAMED]:
        rows = f", {fault.steps} steps were read" if fault.steps else ""
        print(f"FAILED  {fault.key}: {fault.problem}{rows}")
    if len(report.faults) > NAMED:
        print(f"and {len(report.faults) - NAMED} more")
    if report.faults:
        print(f"All that failed are in {options.out / 'failed.csv'}")
