"""Folders of features and CSV files are read as they were written; what is damaged or means nothing is refused."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars
import pytest

from mien.data.feature_tables import (
    FeatureStore,
    FeatureTables,
    bind_features,
    read_feature_csv,
    read_manifest,
)
from mien.schema.errors import DatasetError
from mien.schema.sample import FeatureCsv, FeatureTable, File, Sample

Write = Callable[..., Path]


@pytest.fixture
def parts(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    names = (("b", 4), ("a", 2)), (("c", 5),)
    return [{key: rng.normal(size=(n, 3)).astype(np.float32) for key, n in part} for part in names]


def test_rows_are_those_that_were_written(
    tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    folder = write_features(tmp_path / "face", parts)
    for cache_mb in (4096, 0):
        tables = FeatureTables(folder, cache_mb=cache_mb)
        assert len(tables) == 3
        assert "a" in tables
        assert "d" not in tables
        for part in (*parts, parts[0]):
            for key, rows in part.items():
                np.testing.assert_array_equal(tables.rows(key), rows)
                assert tables.rows(key).dtype == np.float32
    with pytest.raises(DatasetError, match=r"no features of 'd', but of 3 others; run `mien features`"):
        tables.rows("d")


def test_the_manifest_says_what_the_features_are(
    tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    manifest = read_manifest(write_features(tmp_path, parts))
    assert (manifest.encoder, manifest.modality, manifest.width, manifest.step_s) == ("tiny", "face", 3, 0.5)
    assert manifest.keys == {"part-00000.parquet": ("b", "a"), "part-00001.parquet": ("c",)}
    assert manifest.source["dataset"] == "drawn"
    parts[1]["c"] += 1
    assert read_manifest(write_features(tmp_path / "other", parts)).fingerprint != manifest.fingerprint
    assert read_manifest(write_features(tmp_path / "again", parts[:1], mien="1")).is_random is False


def test_random_features_are_refused_unless_allowed(
    tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    folder = write_features(tmp_path, parts, weights="random")
    with pytest.raises(DatasetError, match="tiny with random weights, which mean nothing"):
        FeatureTables(folder)
    with pytest.raises(DatasetError, match="random weights"):
        FeatureStore().rows(FeatureTable(folder, "a"))
    source = FeatureTable(folder, "a")
    np.testing.assert_array_equal(FeatureStore(allow_random=True).rows(source), parts[0]["a"])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"schema_version": 2}, "has version 2; this version of mien reads 1"),
        ({"modality": "smell"}, "is damaged"),
        ({"width": "x"}, "is damaged"),
        ({"width": 4}, "has 3 features a step; manifest.json says 4"),
    ],
)
def test_other_manifests_are_refused(
    head: dict, message: str, tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    folder = write_features(tmp_path, parts, **head)
    with pytest.raises(DatasetError, match=message):
        FeatureTables(folder).rows("a")


def test_damage_is_named(tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write) -> None:
    with pytest.raises(DatasetError, match=r"Give a folder that `mien features` wrote"):
        read_manifest(tmp_path / "nothing")
    folder = write_features(tmp_path / "a", parts)
    (folder / "part-00000.parquet").write_bytes(b"no")
    with pytest.raises(DatasetError, match=r"part-00000\.parquet is not what manifest\.json says"):
        FeatureTables(folder).rows("b")
    (folder / "part-00001.parquet").unlink()
    with pytest.raises(DatasetError, match=r"part-00001\.parquet cannot be read: No such file"):
        FeatureTables(folder).rows("c")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DatasetError, match=r"manifest\.json is damaged"):
        read_manifest(folder)


def test_steps_are_whole(tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write) -> None:
    folder = write_features(tmp_path, parts)
    path, raw = folder / "part-00000.parquet", json.loads((folder / "manifest.json").read_text())

    def rewrite(rows: list[int]) -> FeatureTables:
        polars.DataFrame(columns_of(parts[0]))[rows].write_parquet(path)
        raw["parts"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(raw))
        return FeatureTables(folder)

    for rows in ([0, 2, 3, 4, 5], [0, 1, 1, 2, 3, 4, 5]):
        with pytest.raises(DatasetError, match="lacks a step of 'b', or has it twice"):
            rewrite(rows).rows("a")
    assert rewrite([4, 5]).rows("b").shape == (0, 3)


def columns_of(part: Mapping[str, np.ndarray]) -> dict[str, object]:
    return {
        "key": [key for key, rows in part.items() for _ in rows],
        "step": np.concatenate([np.arange(len(rows), dtype=np.int32) for rows in part.values()]),
        "feature": [row.tolist() for rows in part.values() for row in rows],
    }


def test_lists_are_read_as_arrays_are(
    tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    folder = write_features(tmp_path, parts)
    path, raw = folder / "part-00000.parquet", json.loads((folder / "manifest.json").read_text())
    polars.DataFrame(columns_of(parts[0]))[::-1].write_parquet(path)
    raw["parts"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(raw))
    np.testing.assert_allclose(FeatureTables(folder).rows("b"), parts[0]["b"], rtol=1e-6)


CSV = "File_ID,timestamp,a,b\n[1],0,0.5,1\n[1],500,-2,1e-3\n"


def test_csv_files_of_muse(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text(CSV)
    rows = read_feature_csv(FeatureCsv(path))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.5, 1], [-2, 1e-3]])
    assert read_feature_csv(FeatureCsv(path, skip=3)).tolist() == [[1], [np.float32(1e-3)]]
    store = FeatureStore()
    first = store.rows(FeatureCsv(path))
    path.unlink()
    assert store.rows(FeatureCsv(path)) is first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the header names 0 columns, of which 2 are no features"),
        ("File_ID,timestamp\n", "line 1: the header names 2 columns"),
        (CSV.replace(",1e-3", ""), "line 3: 3 fields, but the header names 4"),
        (CSV.replace("1e-3", "x"), "line 3: expected numbers"),
        (CSV.replace("1e-3", "nan"), "not finite"),
    ],
)
def test_damaged_csv_files_are_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_feature_csv(FeatureCsv(path))


def test_a_header_alone_is_a_clip_without_steps(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text("File_ID,timestamp,a,b\n")
    assert read_feature_csv(FeatureCsv(path)).shape == (0, 2)


def test_samples_need_all_that_the_network_takes(
    tmp_path: Path, parts: list[dict[str, np.ndarray]], write_features: Write
) -> None:
    folder = write_features(tmp_path / "face", parts)
    heard = FeatureCsv(tmp_path / "x.csv")
    samples = [
        Sample(key=key, source=File(tmp_path), split="train", features=(("DeepSpectrum", heard),) if known else ())
        for key, known in (("a", True), ("b", False), ("z", True))
    ]
    chosen = [("sound_features", "DeepSpectrum"), ("face_features", str(folder))]
    (kept,), dropped = bind_features(samples, chosen, FeatureStore())
    assert kept.key == "a"
    assert kept.features == (("sound_features", heard), ("face_features", FeatureTable(folder, "a")))
    assert dropped == {"train: no features DeepSpectrum": 1, f"train: no features {folder}": 1}
    assert [s.key for s in bind_features(samples, chosen[1:], FeatureStore())[0]] == ["a", "b"]
    with pytest.raises(DatasetError, match=r"no features 'FAUs': the dataset has DeepSpectrum, and there is no folder"):
        bind_features(samples, [("x", "FAUs")], FeatureStore())
