"""The journal: a line an epoch, cut back to where a resumed run starts."""

import pytest

from mien.engine.journal import Journal, read_journal


def test_rows_are_added_and_read_back(tmp_path):
    writer = Journal(tmp_path)
    writer.add({"epoch": 0, "loss": 0.123456789, "sampler": "shuffled"})
    writer.add({"epoch": 1, "loss": 0.5, "sampler": "shuffled", "accuracy": 1.0})
    assert read_journal(tmp_path / "journal.csv") == [
        {"epoch": "0", "loss": "0.123457", "sampler": "shuffled", "accuracy": ""},
        {"epoch": "1", "loss": "0.5", "sampler": "shuffled", "accuracy": "1"},
    ]


def test_a_resumed_run_keeps_the_rows_before_it(tmp_path):
    first = Journal(tmp_path)
    for epoch in range(4):
        first.add({"epoch": epoch, "loss": 1.0})
    second = Journal(tmp_path, start=2)
    second.add({"epoch": 2, "loss": 2.0})
    assert [(row["epoch"], row["loss"]) for row in read_journal(second.path)] == [("0", "1"), ("1", "1"), ("2", "2")]
    Journal(tmp_path)
    assert read_journal(second.path) == []


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_gets_the_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = Journal(tmp_path, tensorboard=True)
    for epoch in range(3):
        writer.add({"epoch": epoch, "loss": 1.0 / (epoch + 1), "sampler": "shuffled"})
    writer.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([1, 0.5, 1 / 3])
