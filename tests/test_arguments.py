"""Training arguments are checked where they are made."""

import pytest

from vidtwin.training.arguments import VidTwinTrainingArguments


def test_max_steps_must_be_given(tmp_path):
    with pytest.raises(ValueError, match="max_steps must be given"):
        VidTwinTrainingArguments(output_dir=str(tmp_path))


def test_a_negative_kl_weight_is_refused(tmp_path):
    with pytest.raises(ValueError, match="kl_weight must be at least 0, got -1"):
        VidTwinTrainingArguments(output_dir=str(tmp_path), max_steps=1, kl_weight=-1.0)


def test_nothing_is_reported_anywhere_by_default(tmp_path):
    assert VidTwinTrainingArguments(output_dir=str(tmp_path), max_steps=1).report_to == []
