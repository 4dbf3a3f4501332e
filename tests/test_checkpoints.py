"""A checkpoint is whole or it is not one."""

import pytest

from vidtwin.training.checkpoints import (
    checkpoints_in,
    missing_files,
    newest_whole,
    publish,
    refuse_torn,
    staging_folder,
)


@pytest.fixture
def write(tmp_path):
    def make(step):
        staged = staging_folder(tmp_path, step)
        (staged / "ema").mkdir(parents=True)
        (staged / "model.safetensors").write_bytes(b"weights")
        (staged / "ema" / "model.safetensors").write_bytes(b"averaged")
        final = tmp_path / f"checkpoint-{step}"
        publish(staged, final)
        return final

    return make


def test_a_published_checkpoint_is_whole_and_leaves_nothing_aside(write, tmp_path):
    assert missing_files(write(3)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_a_checkpoint_of_the_same_step_is_replaced(write):
    (write(3) / "old").write_text("of the run before")
    assert not (write(3) / "old").exists()


def test_an_absent_file_is_named_with_its_folder(write):
    checkpoint = write(3)
    (checkpoint / "ema" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-3 is not a whole checkpoint: .* ema/model.safetensors"):
        refuse_torn(checkpoint)


def test_a_file_cut_short_is_named(write):
    checkpoint = write(3)
    (checkpoint / "model.safetensors").write_bytes(b"weig")
    assert missing_files(checkpoint) == ["model.safetensors"]


@pytest.mark.parametrize("content", [None, "{"])
def test_a_folder_without_a_readable_list_is_not_whole(write, content):
    checkpoint = write(3)
    (checkpoint / "files.json").unlink()
    if content:
        (checkpoint / "files.json").write_text(content)
    assert missing_files(checkpoint) == ["files.json"]


def test_steps_are_ordered_as_numbers(write, tmp_path):
    for step in (9, 100, 20):
        write(step)
    assert [path.name for path in checkpoints_in(tmp_path)] == [
        "checkpoint-100",
        "checkpoint-20",
        "checkpoint-9",
    ]


def test_the_newest_whole_one_is_found_and_torn_ones_are_told(write, tmp_path):
    for step in (1, 2, 3):
        write(step)
    (tmp_path / "checkpoint-3" / "model.safetensors").unlink()
    staging_folder(tmp_path, 4).mkdir()
    newest, torn = newest_whole(tmp_path)
    assert newest.name == "checkpoint-2"
    assert [path.name for path in torn] == ["_tmp-checkpoint-4", "checkpoint-3"]


def test_a_run_without_checkpoints_has_none(tmp_path):
    assert newest_whole(tmp_path / "absent") == (None, [])
