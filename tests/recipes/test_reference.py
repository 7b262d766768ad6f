"""The printed values: typed off without a slip, and told to whoever measures."""

import pytest

from mien.data.readers import READERS
from mien.models import MODELS
from mien.recipes import names
from mien.recipes.reference import papers, reference, reported
from mien.schema.errors import ConfigError
from mien.schema.labels import RAF_DB


def values(table: str, paper: str = "product_cross", **wanted: str) -> list[float]:
    records = reference(paper)["records"]
    return [
        record["value"]
        for record in records
        if record["table"] == table and all(record[key] == value for key, value in wanted.items())
    ]


@pytest.mark.parametrize("paper", papers())
def test_records_name_datasets_metrics_and_recipes_that_exist(paper):
    printed, known = reference(paper), set(names())
    assert set(printed["models"]) <= set(MODELS)
    for record in printed["records"]:
        assert record.keys() - {"recipe"} == {"table", "row", "dataset", "metric", "value"}
        assert record["dataset"] is None or record["dataset"] in READERS
        assert "recipe" not in record or record["recipe"] in known
        if record["dataset"] is not None:
            assert 0 <= record["value"] < 1


def test_product_cross_is_printed_as_it_is():
    assert values("1") == pytest.approx([0.9130, 0.9142, 0.9149, 0.9165, 0.9179, 0.9167, 0.9195, 0.9231])
    assert values("4") == pytest.approx([0.9146, 0.9172, 0.9159, 0.9231])
    assert values("5", row="ours") == pytest.approx([0.9231, 0.6714, 0.9297])
    assert len(values("5", dataset="raf_db")) == 17
    assert sum(values("8", metric="parameters_m")) == pytest.approx(34.2)
    for dataset, row in (("raf_db", "ours"), ("raf_db", "POSTER"), ("affectnet", "ours"), ("affectnet", "POSTER")):
        *recalls, mean = values("6", dataset=dataset, row=row)
        assert len(recalls) == 7
        assert sum(recalls) / 7 == pytest.approx(mean, abs=6e-5)


def test_natten_deim_is_printed_as_it_is():
    """Three of the printed means are not those of the seven values beside them."""
    rows = {record["row"] for record in reference("natten_deim")["records"]}
    assert len(rows) == 14
    off = {}
    for row in rows:
        *each, mean = values("1", "natten_deim", row=row)
        assert len(each) == 7
        off[row] = round(sum(each) / 7 - mean, 4)
    assert {row: value for row, value in off.items() if value} == {
        "ours": 0.0014,
        "DEIM": 0.0001,
        "FER-YOLO-NCAMamba": -0.0001,
    }
    assert values("1", "natten_deim", row="ours") == [0.9428, 0.7273, 0.6659, 0.9572, 0.9084, 0.8816, 0.8962, 0.8528]
    assert values("1", "natten_deim", metric="map50", row="DEIM") == [0.841]


def test_a_detector_is_told_what_its_paper_and_its_row_have():
    own = reported("natten_deim", "raf_db_original", "natten_deim_raf_db_boxes")
    assert {row["metric"] for row in own} == {"map50", *(f"ap50_{name}" for name in RAF_DB.names)}
    assert {row["row"] for row in own} == {"ours"}
    beside = reported("natten_deim", "raf_db_original", "natten_deim_raf_db_boxes_baseline")
    assert {row["row"] for row in beside} == {"ours", "DEIM"}


def test_what_the_paper_reports_of_its_own_network():
    assert reported("product_cross_small", "ferplus") == [
        {"table": "5", "row": "ours", "metric": "accuracy", "value": 0.9297}
    ]
    assert {row["metric"] for row in reported("product_cross", "raf_db")} >= {"accuracy", "mean_class_accuracy"}
    assert reported("landmarks", "ferplus") == []
    assert reported("product_cross", "synthetic") == []


def test_an_unknown_paper_is_told():
    with pytest.raises(ConfigError, match="product_cross"):
        reference("product_cros")


def test_gcsa_av_is_printed_as_it_is():
    assert values("1", "gcsa_av") == [0.23, 0.3189, 0.3553, 0.3959, 0.4262, 0.4592, 0.4651]
    beside = reported("gcsa_av", "aff_wild2", "gcsa_av_aff_wild2_t1_v_gcsa")
    assert [row["row"] for row in beside] == ["Base + GCSA, V", "ours"]
