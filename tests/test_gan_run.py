"""The long run's command writes its log, its memory and a picture."""

import json

import numpy as np
import pytest
from PIL import Image
from video_maker import make_video

from benchmarks.gan_run import main


@pytest.mark.slow
def test_a_short_run_is_written_and_drawn(tmp_path):
    (tmp_path / "clips").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8)
    make_video(tmp_path / "clips" / "bbb_noise.mp4", frames)
    out = tmp_path / "run.json"
    main(["--clips", str(tmp_path / "clips"), "--steps", "20", "--out", str(out)])
    facts = json.loads(out.read_text())
    assert [row["step"] for row in facts["log"]] == [10, 20]
    assert "logits_real" in facts["log"][1]
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.width == 1200
