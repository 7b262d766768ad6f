"""Features in NumPy files: what is taken, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from mien.data.feature_arrays import read_feature_array
from mien.data.feature_tables import FeatureStore
from mien.schema.errors import DatasetError
from mien.schema.sample import FeatureArray


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4"])
def test_rows_of_any_precision(kind: str, tmp_path: Path) -> None:
    rows = np.arange(12, dtype=kind).reshape(4, 3)
    np.save(tmp_path / "a.npy", np.asfortranarray(rows))
    np.testing.assert_array_equal(read_feature_array(tmp_path / "a.npy"), rows)
    np.testing.assert_array_equal(read_feature_array(tmp_path / "a.npy", mapped=True)[[3, 0]], rows[[3, 0]])
    source = FeatureArray(tmp_path / "a.npy")
    for store in (FeatureStore(), FeatureStore(cache_mb=0)):
        assert store.rows(source).dtype == np.float32
        found = store.some_rows(source, np.array([3, 0, 0]))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, rows[[3, 0, 0]])


def test_what_fits_is_read_once(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 3), np.float32))
    store, source = FeatureStore(), FeatureArray(tmp_path / "a.npy")
    first = store.rows(source)
    (tmp_path / "a.npy").unlink()
    assert store.rows(source) is first
    assert store.some_rows(source, np.array([1])).tolist() == [[1, 1, 1]]


def test_a_file_that_is_no_table_of_numbers_is_named(tmp_path: Path) -> None:
    def refused(content: object, message: str) -> None:
        path = tmp_path / "clip.npy"
        np.save(path, content)
        with pytest.raises(DatasetError, match=rf"clip\.npy {message}"):
            read_feature_array(path)

    refused(np.zeros((2, 3, 4), np.float32), r"holds float32 \[2, 3, 4\]")
    refused(np.zeros(3), r"holds float64 \[3\]; features are a float array \[frames, features\]")
    refused(np.zeros((2, 3), np.int64), "holds int64")
    broken = np.zeros((5, 3), np.float32)
    broken[3, 1], broken[4, 0] = np.nan, np.inf
    refused(broken, "has numbers that are not finite in row 3, counted from 0. Compute it again; a frame without")
    refused(np.array([{"a": 1}], object), "cannot be read as a NumPy array")
    (tmp_path / "clip.npy").write_bytes(b"")
    with pytest.raises(DatasetError, match="cannot be read as a NumPy array"):
        read_feature_array(tmp_path / "clip.npy")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_feature_array(tmp_path / "none.npy")
    np.savez(tmp_path / "many.npz", a=np.zeros((2, 3)))
    with pytest.raises(DatasetError, match="holds an archive of arrays"):
        read_feature_array(tmp_path / "many.npz")
