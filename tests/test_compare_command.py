"""`vidtwin compare`: the same clips through every codec."""

import json

import pytest
import torch
from video_maker import make_video, smooth_frames

from vidtwin.evaluation import compare_command
from vidtwin.evaluation.clip_scores import Judges
from vidtwin.evaluation.compare_command import CompareSettings, compare, measure, table
from vidtwin.evaluation.peers import Codec
from vidtwin.metrics.frechet import frechet_distance
from vidtwin.metrics.networks import i3d_features
from vidtwin.modeling_vidtwin.model_folder import find_model

diffusers = pytest.importorskip(
    "diffusers", reason="the newest diffusers needs a newer huggingface_hub", exc_type=ImportError
)

CPU = torch.device("cpu")


class Loser(Codec):
    """Gives back what it gets, without the last three frames."""

    name, numbers, tokens = "loser", 10, 5

    def reconstruct(self, clip):
        return clip[:-3] @ torch.eye(clip.shape[-1])


@pytest.fixture
def folder(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "tiny")
    torch.manual_seed(0)
    model = diffusers.AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    model.save_pretrained(tmp_path / "wan")
    (tmp_path / "videos").mkdir()
    for number in range(3):
        make_video(tmp_path / "videos" / f"{number}.mp4", smooth_frames(6), 25)
    return tmp_path


def test_every_codec_has_a_row_and_h264_the_first_ones_bits(folder):
    settings = CompareSettings(clips=2, num_frames=4, image_size=32)
    specs = [str(folder / "tiny"), f"wan:{folder / 'wan'}"]
    rows = compare(specs, str(folder / "videos"), folder / "out", settings, CPU, lambda _: None)
    assert [row["codec"] for row in rows] == [*specs, f"h264:{16 * rows[0]['latent_numbers']}"]
    assert [(row["frames_in"], row["frames_out"]) for row in rows] == [(8, 8)] * 3
    assert all(row["seconds"] > 0 and row["psnr"] > 0 for row in rows)
    config = find_model(specs[0]).config()
    assert rows[0]["latent_numbers"] == config.num_latents and rows[0]["rate"] == config.compression_rate
    assert rows[0]["tflop"] > 0 and rows[1]["tflop"] > 0 and rows[2]["tflop"] == 0
    written = json.loads((folder / "out" / "compare.json").read_text())
    assert written["rows"] == rows and written["n_clips"] == 2
    assert "short side 32 and centre crop" in (folder / "out" / "compare.md").read_text()


def test_lost_frames_are_told_and_the_others_compared():
    row = measure(Loser(), [torch.rand(16, 3, 32, 32) * 2 - 1], Judges())
    assert (row["frames_in"], row["frames_out"]) == (16, 13) and row["psnr"] == pytest.approx(80, abs=1e-3)
    assert "| 13 of 16 |" in table([row])


def test_seconds_are_the_median_of_the_clips(monkeypatch):
    times = iter([5.0, 1.0, 3.0])

    def timed(call, device):
        call()
        return next(times)

    monkeypatch.setattr("vidtwin.evaluation.compare_command.seconds", timed)
    clips = [torch.rand(16, 3, 32, 32) * 2 - 1 for _ in range(3)]
    row = measure(Loser(), clips, Judges())
    assert row["seconds"] == 3
    assert (row["latent_numbers"], row["rate"]) == (10, 10 / clips[0].numel())


def test_a_video_that_cannot_be_read_is_told_and_left_out(folder):
    (folder / "videos" / "0.mp4").write_bytes(b"no video")
    said = []
    settings = CompareSettings(clips=2, num_frames=4, image_size=32)
    compare([str(folder / "tiny")], str(folder / "videos"), folder / "out", settings, CPU, said.append)
    assert said[0].startswith("left out: ") and "0.mp4" in said[0]
    assert json.loads((folder / "out" / "compare.json").read_text())["n_clips"] == 2


def test_the_networks_and_the_number_of_clips_stand_with_the_figures(folder, monkeypatch):
    def pooled(x, **_):
        return torch.nn.functional.adaptive_avg_pool3d(x, (1, 2, 2)).flatten(1)

    monkeypatch.setattr("vidtwin.evaluation.clip_scores.load_i3d", lambda *_: pooled)
    settings = CompareSettings(clips=2, num_frames=9, image_size=32, fvd="hub")
    for number in range(2):
        make_video(folder / "videos" / f"long{number}.mp4", smooth_frames(9 + number), 25)
    compare(["h264:90000"], str(folder / "videos"), folder / "out", settings, CPU, lambda _: None)
    text = (folder / "out" / "compare.md").read_text()
    assert "(n 2) |" in text and "FVD by I3D, Kinetics-400 logits, squashed to 224x224" in text
    assert "FVD of 2 videos is too high" in text
    settings = CompareSettings(clips=1, num_frames=9, image_size=32, fvd="hub")
    compare(["h264:90000"], str(folder / "videos"), folder / "one", settings, CPU, lambda _: None)
    text = (folder / "one" / "compare.md").read_text()
    assert "No FVD: it needs 2 clips of 9 frames or more, got 1." in text


class Broken(Codec):
    name = "broken"

    def reconstruct(self, clip):
        raise RuntimeError("out of memory\nat line 3")


def test_a_codec_that_fails_is_told_and_the_others_are_kept(folder, monkeypatch):
    real = compare_command.open_codec
    monkeypatch.setattr(
        compare_command, "open_codec", lambda name, *rest: Broken() if name == "broken" else real(name, *rest)
    )
    said = []
    settings = CompareSettings(clips=1, num_frames=4, image_size=32)
    specs = [str(folder / "tiny"), "broken"]
    rows = compare(specs, str(folder / "videos"), folder / "out", settings, CPU, said.append)
    assert [row["codec"].partition(":")[0] for row in rows] == [specs[0], "h264"]
    assert "broken is left out: out of memory" in said
    text = (folder / "out" / "compare.md").read_text()
    assert text.count("\n| ") == 3 and "broken is left out: out of memory" in text
    compare(["h264:9000", "broken"], str(folder / "videos"), folder / "out", settings, CPU, said.append)
    assert "broken is left out: out of memory" in (folder / "out" / "compare.md").read_text()
    with pytest.raises(ValueError, match="broken is left out"):
        compare(["broken"], str(folder / "videos"), folder / "none", settings, CPU, said.append)
    assert not (folder / "none").exists()


def test_the_clips_have_the_size_of_the_models(folder):
    settings = CompareSettings(clips=1, num_frames=4)
    specs = [str(folder / "tiny")]
    compare(specs, str(folder / "videos"), folder / "out", settings, CPU, lambda _: None)
    assert "short side 32" in (folder / "out" / "compare.md").read_text()


def test_random_weights_have_a_cost_and_no_quality():
    codec = Loser()
    codec.trained = False
    row = measure(codec, [torch.rand(16, 3, 32, 32) * 2 - 1], Judges())
    assert "psnr" not in row and row["frames_out"] == 13
    assert "| 13 of 16 | - | - | - | - |" in table([row])
    notes = compare_command._notes(CompareSettings(fvd="hub"), [row])
    assert notes == ["loser: random weights, which have a cost and no quality."]


def test_operations_are_counted():
    row = measure(Loser(), [torch.rand(16, 3, 32, 32) * 2 - 1], Judges())
    assert row["tflop"] == 13 * 3 * 32 * 32 * 32 * 2 / 1e12


def test_a_source_without_videos_is_refused(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no video"):
        compare(["demo"], str(folder / "empty"), folder / "out", CompareSettings(), CPU)
    assert not (folder / "out").exists()


def test_fvd_is_between_what_went_in_and_what_came_back():
    def pooled(x, **_):
        return torch.nn.functional.adaptive_avg_pool3d(x, (1, 2, 2)).flatten(1)

    generator = torch.Generator().manual_seed(0)
    clips = [torch.rand((16, 3, 32, 32), generator=generator) * 2 - 1 for _ in range(3)]
    row = measure(Loser(), clips, Judges(detector=pooled))

    def of(clip):
        return i3d_features(pooled, ((clip.movedim(1, -1) + 1) * 127.5).round().byte())

    pairs = [(of(clip[:-3]), of(clip)) for clip in clips]
    wanted = frechet_distance(*(torch.stack(side).numpy() for side in zip(*pairs, strict=True)))
    assert row["fvd"] == pytest.approx(wanted) and wanted > 0
    assert "fvd" not in measure(Loser(), clips[:1], Judges(detector=pooled))
