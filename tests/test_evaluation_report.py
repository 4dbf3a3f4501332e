"""The report of an evaluation tells what was measured, and of what."""

import json

import numpy as np
import pandas
import pytest
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinVideoProcessor
from vidtwin.evaluation.clip_scores import Scorer
from vidtwin.evaluation.evaluation_report import (
    chosen_clips,
    page,
    summarise,
    write_clips,
    write_report,
)
from vidtwin.evaluation.score_run import Scores
from vidtwin.evaluation.sources import Video
from vidtwin.metrics.frechet import frechet_distance, small_set_note
from vidtwin.modeling_vidtwin.video_io import read_video

FACTS = {
    "model": "org/one",
    "data": "<clips>",
    "protocol": "vidtwin",
    "compression_rate": 0.002046,
    "latent_numbers": 4928,
    "lpips_net": "vgg",
    "fvd_net": None,
    "cost": {"device": "cpu"},
}
ROWS = [
    {"video": "a", "clip": 0, "frames": 4, "psnr": 20.0, "ssim": 0.5},
    {"video": "a", "clip": 1, "frames": 2, "psnr": 30.0, "ssim": 0.7},
    {"video": "b", "clip": 0, "frames": 4, "psnr": 10.0, "ssim": 0.3},
]


def scores(features: int = 0) -> Scores:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(2, features, 4))
    return Scores(ROWS, sides[0], sides[1], [{"video": "c", "reason": "is damaged."}], 1.5)


def test_the_summary_has_means_over_clips_and_counts():
    summary = summarise(scores(), FACTS)
    assert summary["metrics"] == pytest.approx({"psnr": 20.0, "ssim": 0.5})
    assert (summary["n_videos"], summary["n_clips"], summary["n_frames"]) == (2, 3, 10)
    assert summary["cost"] == {"device": "cpu", "seconds": 1.5, "clips_per_second": 2.0}
    assert summary["refused"] == [{"video": "c", "reason": "is damaged."}]


def test_fvd_is_that_of_the_features_with_its_interval():
    found = scores(12)
    summary = summarise(found, {**FACTS, "fvd_net": "I3D"})
    metrics = summary["metrics"]
    assert metrics["fvd"] == pytest.approx(frechet_distance(found.predictions, found.references))
    assert metrics["fvd_interval"][0] < metrics["fvd_interval"][1] and metrics["fvd_clips"] == 12
    assert summary["notes"][0] == small_set_note(12)


def test_an_fvd_that_was_asked_for_and_cannot_be_is_told():
    summary = summarise(scores(1), {**FACTS, "fvd_net": "I3D"})
    assert "fvd" not in summary["metrics"]
    refused = "1 of the videos could not be read; summary.json names them."
    assert summary["notes"] == ["No FVD: it needs 2 clips of 9 frames or more, got 1.", refused]
    assert summarise(scores(), FACTS)["notes"] == [refused]


def test_networks_and_notes_stand_on_the_page():
    found = scores(12)
    found.rows = [{**row, "lpips": 0.1} for row in ROWS]
    text = page(summarise(found, {**FACTS, "fvd_net": "I3D at 224"}), chosen_clips(found.rows))
    assert "LPIPS, vgg" in text and "FVD, I3D, n 12" in text and "FVD of 12 videos is too high" in text


def test_best_median_and_worst_are_chosen_by_psnr():
    chosen = chosen_clips(ROWS)
    assert {name: row["psnr"] for name, row in chosen.items()} == {"best": 30, "median": 20, "worst": 10}


def test_the_page_shows_the_clips_and_escapes_names():
    text = page(summarise(scores(), FACTS), chosen_clips(ROWS))
    assert "&lt;clips&gt;" in text and "<clips>" not in text
    assert all(f'src="{name}.mp4"' in text for name in ("best", "median", "worst"))
    assert "worst: b, clip 0, 10.00 dB" in text


def test_every_file_is_written_and_holds_every_clip(tmp_path):
    summary = summarise(scores(), FACTS)
    write_report(tmp_path, scores(), summary)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    for found in (pandas.read_csv(tmp_path / "scores.csv"), pandas.read_parquet(tmp_path / "scores.parquet")):
        assert found.to_dict("records") == ROWS
    assert (tmp_path / "table.md").read_text().startswith("| model |")


def test_the_chosen_clips_lie_beside_their_originals(tmp_path, tiny_model):
    file = make_video(tmp_path / "a.mp4", smooth_frames(10), 25)
    scorer = Scorer(tiny_model, VidTwinVideoProcessor.from_config(tiny_model.config), 25.0)
    chosen = {"best": {"video": "a", "clip": 2}, "worst": {"video": "a", "clip": 0}}
    write_clips(tmp_path, chosen, scorer, iter([Video("a", lambda: file)]))
    best, worst = (read_video(tmp_path / f"{name}.mp4")[0] for name in chosen)
    assert (len(best), len(worst)) == (2, 4) and best.shape[2] > 2 * 32
