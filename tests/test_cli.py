"""cli: each command on real files with a tiny model, and one line and exit code 1 when it cannot be done."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.utils import logging
from typer.testing import CliRunner, Result
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor, __version__
from vidtwin.cli import app
from vidtwin.modeling_vidtwin import video_io
from vidtwin.modeling_vidtwin.conversion import RELEASED_FILE, convert_to_folder, released_from_model
from vidtwin.modeling_vidtwin.long_video import decode_latents
from vidtwin.modeling_vidtwin.video_io import read_video

ROOT = Path(__file__).resolve().parent.parent
NTSC = Fraction(30000, 1001)
COMMANDS = ("reconstruct", "encode", "decode", "swap", "info", "convert", "train", "evaluate", "compare")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test runs in a folder of its own, and leaves the loudness of transformers as it was."""
    monkeypatch.chdir(tmp_path)
    verbosity = logging.get_verbosity()
    yield tmp_path
    logging.set_verbosity(verbosity)
    logging.enable_progress_bar()


@pytest.fixture
def model(tiny_model: VidTwinModel, place: Path) -> VidTwinModel:
    """The tiny model, which also lies in the folder `tiny` with its processor."""
    tiny_model.save_pretrained("tiny")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained("tiny")
    return tiny_model


@pytest.fixture
def video(place: Path) -> Path:
    """Nine frames of 64 x 48 pixels."""
    return make_video(Path("in.mp4"), smooth_frames(9), fps=NTSC)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """What a command prints that must succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(*arguments: object) -> str:
    """The one line with which a command fails, and nothing but what was there before is left behind."""
    before = sorted(Path().rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert sorted(Path().rglob("*")) == before
    lines = [line for line in result.stderr.splitlines() if line and "frame/s]" not in line]
    assert len(lines) == 1 and lines[0].startswith("Error: "), result.stderr
    return lines[0].removeprefix("Error: ")


# Help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_explains_itself(command: str) -> None:
    shown = done(command, "--help")
    assert "Options:" in shown and len(shown.splitlines()) > 5


def test_the_help_lists_every_command() -> None:
    assert all(f"  {command} " in done("--help") for command in COMMANDS)


def test_the_version_is_told() -> None:
    assert done("--version") == f"vidtwin {__version__}\n"


def test_help_imports_no_heavy_library() -> None:
    command = "import sys, vidtwin.cli; print(*sorted(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    loaded = subprocess.check_output([sys.executable, "-c", command], env=env, text=True).split()
    assert {"torch", "transformers", "av", "numpy"} & set(loaded) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconstruct",),
        ("reconstruct", "in.mp4", "out.mp4", "--part", "motion"),
        ("reconstruct", "in.mp4", "out.mp4", "--part", "structure", "--side-by-side"),
        ("reconstruct", "in.mp4", "out.mp4", "--part", "original", "--metrics"),
        ("reconstruct", "in.mp4", "out.mp4", "--batch-size", "0"),
        ("reconstruct", "in.mp4", "out.mp4", "--fit", "stretch"),
        ("decode", "latents", "out.mp4", "--dtype", "int8"),
        ("convert", "a.ckpt", "folder", "--base", "b.ckpt"),
        ("train", "demo"),
        ("unknown",),
    ],
)
def test_wrong_usage_has_exit_code_two(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


# reconstruct


def test_a_reconstruction_has_the_frames_and_the_rate_of_its_source(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny")
    frames, fps = read_video("out.mp4")
    assert frames.shape == (9, 32, 32, 3) and fps == NTSC


def test_size_cut_and_dtype_are_told(model: VidTwinModel, video: Path) -> None:
    shown = done("reconstruct", video, "out.mp4", "--model", "tiny", "--dtype", "float32", "--device", "cpu")
    assert "tiny on cpu in float32" in shown
    assert "64x48 resized to 42x32, centre 32x32 kept (24% cut away)" in shown
    assert "out.mp4: 32x32, 9 frames at 29.97 fps" in shown


@pytest.mark.parametrize(("fit", "size"), [("crop", (32, 32)), ("pad", (24, 32)), ("squash", (32, 32))])
def test_padding_is_not_in_the_output(
    fit: str, size: tuple[int, int], model: VidTwinModel, video: Path
) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--fit", fit)
    assert read_video("out.mp4")[0].shape[1:3] == size


@pytest.mark.parametrize("part", ["structure", "dynamics"])
def test_one_part_alone_can_be_written(part: str, model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--part", part)
    assert len(read_video("out.mp4")[0]) == 9


def test_the_comparison_shows_four_pictures_in_a_row(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--side-by-side")
    assert read_video("out.mp4")[0].shape == (9, 48, 4 * 32 + 3 * 4, 3)


def test_the_strip_is_a_png_beside_the_video(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--strip", "strip.png")
    assert Image.open("strip.png").size == (6 * 32 + 5 * 4, 16 + 4 * (16 + 32))
    assert read_video("out.mp4")[0].shape == (9, 32, 32, 3)


def test_metrics_are_printed_for_every_frame(model: VidTwinModel, video: Path) -> None:
    shown = done("reconstruct", video, "out.mp4", "--model", "tiny", "--metrics", "--quiet").splitlines()
    assert shown[0].startswith("PSNR in dB") and len(shown[-1].split()) == 1 + 9


def test_metrics_are_written_for_every_frame(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--metrics-json", "a.json", "--side-by-side")
    scores = json.loads(Path("a.json").read_text())
    assert scores["fps"] == "30000/1001"
    assert {part: len(values["per_frame"]) for part, values in scores["psnr"].items()} == {
        "all": 9, "structure": 9, "dynamics": 9,
    }  # fmt: skip


def test_quiet_prints_nothing_at_all(model: VidTwinModel, video: Path) -> None:
    assert run("reconstruct", video, "out.mp4", "--model", "tiny", "--quiet").output == ""


def test_a_progress_bar_counts_the_frames_on_stderr(model: VidTwinModel, video: Path) -> None:
    assert "9/9" in run("reconstruct", video, "out.mp4", "--model", "tiny").stderr


def test_writing_the_same_output_twice_overwrites_it(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--side-by-side")
    done("reconstruct", video, "out.mp4", "--model", "tiny")
    assert read_video("out.mp4")[0].shape == (9, 32, 32, 3)


# encode, decode, swap


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_latents_decode_to_the_video_that_reconstruct_writes(
    fit: str, model: VidTwinModel, video: Path
) -> None:
    done("reconstruct", video, "direct.mp4", "--model", "tiny", "--fit", fit)
    done("encode", video, "latents", "--model", "tiny", "--fit", fit)
    done("decode", "latents", "decoded.mp4", "--model", "tiny")
    (direct, fps), (decoded, same_fps) = read_video("direct.mp4"), read_video("decoded.mp4")
    assert fps == same_fps and direct.shape == decoded.shape
    assert np.abs(direct.astype(int) - decoded).mean() < 0.5


def test_a_folder_with_the_encoder_half_is_enough_to_encode(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VidTwinModel, "from_pretrained", None)
    assert "for 9 frames" in done("encode", video, "latents", "--model", "tiny")


def test_another_models_latents_need_force(model: VidTwinModel, video: Path) -> None:
    done("encode", video, "latents", "--model", "tiny")
    model.head.modulation.data += 1
    model.save_pretrained("other")
    VidTwinVideoProcessor.from_config(model.config).save_pretrained("other")
    assert "the model that made them, tiny" in refusal("decode", "latents", "out.mp4", "--model", "other")
    done("decode", "latents", "out.mp4", "--model", "other", "--force")


def test_a_swap_has_the_rate_of_the_dynamics_and_the_shorter_length(model: VidTwinModel, video: Path) -> None:
    make_video(Path("b.mp4"), smooth_frames(5), fps=10)
    assert "dynamics" in done("swap", video, "b.mp4", "out.mp4", "--model", "tiny")
    frames, fps = read_video("out.mp4")
    assert len(frames) == 5 and fps == 10


# info, convert, train


def test_info_describes_a_folder(model: VidTwinModel) -> None:
    shown = done("info", "tiny")
    assert "tiny: VidTwinModel, stored as F32" in shown and f"{model.num_parameters():,}" in shown


def test_info_counts_what_an_encoder_only_folder_holds(model: VidTwinModel) -> None:
    encoder = VidTwinEncoderModel(model.config)
    encoder.save_pretrained("half")
    shown = done("info", "./half")
    assert "VidTwinEncoderModel" in shown and f"{encoder.num_parameters():,}" in shown


def test_info_describes_a_scale_without_weights() -> None:
    assert "4,928 latent numbers for 2,408,448 (0.2046%)" in done("info", "base")


def released(model: VidTwinModel) -> str:
    torch.save({"state_dict": released_from_model(model)[0]}, "released.ckpt")
    return "released.ckpt"


HEADS = ("--num-attention-heads", 4, "--qformer-num-attention-heads", 4)


def test_the_original_is_what_the_model_sees(model: VidTwinModel, video: Path) -> None:
    done("reconstruct", video, "out.mp4", "--model", "tiny", "--part", "original")
    shown, source = read_video("out.mp4")[0], read_video(video)[0]
    assert shown.shape == (len(source), 32, 32, 3)
    assert abs(shown.mean() - source.mean()) < 10 and shown.std() > 5


def test_a_converted_folder_is_ready_to_reconstruct(model: VidTwinModel, video: Path) -> None:
    done("convert", released(model), "folder", *HEADS)
    done("reconstruct", video, "out.mp4", "--model", "./folder")
    assert len(read_video("out.mp4")[0]) == 9


def test_the_released_checkpoint_comes_by_its_hub_id_with_its_authors_named(hub) -> None:
    """A small file in the released form, where the authors' repository has theirs."""
    checkpoint = Path(__file__).parent / "golden" / "official_tiny_A.ckpt"
    model = convert_to_folder(checkpoint, "wanted", 4, 8)
    hub.put("microsoft/vidtwin", {RELEASED_FILE: checkpoint.read_bytes()})
    told = done("convert", "microsoft/vidtwin", "folder", "--num-attention-heads", 4)
    assert f"rate: {model.config.num_latents:,} numbers a clip, " in told
    assert f"{model.num_parameters():,} parameters" in told
    card = Path("folder/README.md").read_text()
    assert "Yuchi Wang" in card and "license: mit" in card
    done("push", "folder", "me/released")
    assert 'from_pretrained("me/released"' in hub.files("me/released")["README.md"].decode()
    assert b"Yuchi Wang" in hub.files("me/released")["README.md"]
    ours = VidTwinModel.from_pretrained("me/released")
    assert torch.equal(ours.head.proj.weight, model.head.proj.weight)


def test_a_checkpoint_of_ones_own_is_not_called_the_authors(hub, model: VidTwinModel) -> None:
    done("convert", released(model), "folder", *HEADS)
    assert not Path("folder/README.md").exists()


def test_a_hub_id_without_the_checkpoint_is_refused(hub) -> None:
    hub.put("me/other", {"config.json": b"{}"})
    assert "did not give its checkpoints/" in refusal("convert", "me/other", "folder")
    assert "no such repository" in refusal("convert", "me/none", "folder")
    assert "none.ckpt: No such file" in refusal("convert", "none.ckpt", "folder")
    assert not Path("folder").exists()


def test_the_way_back_is_exact(model: VidTwinModel) -> None:
    done("convert", released(model), "folder", *HEADS)
    assert "without encoder.final_layer.*" in done("convert", "folder", "back.ckpt", "--to-released")
    before, after = (torch.load(name)["state_dict"] for name in ("released.ckpt", "back.ckpt"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_a_base_lends_what_the_model_does_not_use(model: VidTwinModel) -> None:
    torch.save({"state_dict": {"loss.logvar": torch.ones(1)}}, "base.ckpt")
    assert "loss" not in done("convert", "tiny", "back.ckpt", "--to-released", "--base", "base.ckpt")
    assert torch.load("back.ckpt")["state_dict"]["loss.logvar"] == 1


def test_convert_never_touches_a_folder_with_files(model: VidTwinModel) -> None:
    assert "no empty folder" in refusal("convert", released(model), "tiny", *HEADS)


def test_convert_names_what_is_wrong_with_a_checkpoint(model: VidTwinModel) -> None:
    Path("bad.ckpt").write_bytes(b"nonsense")
    assert "bad.ckpt is not a torch checkpoint" in refusal("convert", "bad.ckpt", "folder")
    refusal("convert", released(model), "folder", "--num-attention-heads", 7)


@pytest.mark.parametrize(
    ("words", "resume"),
    [((), False), (("--resume",), True), (("--resume", "c7"), "c7"), (("--resume", "--set", "a=1"), True)],
)
def test_resume_may_name_a_checkpoint_or_not(
    words: tuple[str, ...], resume: bool | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    command = types.ModuleType("vidtwin.training.command")
    command.train_recipe = lambda *arguments: given.extend(arguments)
    monkeypatch.setitem(sys.modules, command.__name__, command)
    done("train", "demo", "--output-dir", "out", *words)
    assert given == ["demo", Path("out"), resume, [word for word in words if "=" in word]]


# What cannot be done


def test_a_missing_file_is_named(model: VidTwinModel) -> None:
    assert refusal("reconstruct", "no.mp4", "out.mp4", "--model", "tiny") == (
        "no.mp4: No such file or directory."
    )


def test_a_folder_is_no_video(model: VidTwinModel) -> None:
    assert "tiny" in refusal("reconstruct", "tiny", "out.mp4", "--model", "tiny")


def test_a_file_that_is_no_video_is_refused(model: VidTwinModel) -> None:
    assert "tiny/config.json" in refusal("encode", "tiny/config.json", "latents", "--model", "tiny")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read all")
def test_an_unreadable_file_is_named(model: VidTwinModel, video: Path) -> None:
    video.chmod(0)
    assert "in.mp4: Permission denied" in refusal("reconstruct", video, "out.mp4", "--model", "tiny")


@pytest.mark.parametrize("option", [None, "--strip", "--metrics-json"])
def test_an_unwritable_output_is_found_before_the_work(
    option: str | None, model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VidTwinModel, "from_pretrained", None)
    outputs = ("in.mp4/out.mp4",) if option is None else ("out.mp4", option, "in.mp4/out")
    assert "in.mp4" in refusal("reconstruct", video, *outputs, "--model", "tiny")


def test_a_folder_one_may_not_write_to_is_found_before_the_work(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", forbidden)
    monkeypatch.setattr(VidTwinModel, "from_pretrained", None)
    assert refusal("encode", video, "latents", "--model", "tiny") == "latents: Permission denied."


def test_an_output_with_an_unknown_ending_is_refused(model: VidTwinModel, video: Path) -> None:
    assert "must end in .mp4" in refusal("reconstruct", video, "out.mpg4", "--model", "tiny")


@pytest.mark.parametrize("outputs", [("in.mp4",), ("./in.mp4",), ("out.mp4", "--strip", "out.mp4")])
def test_an_output_is_never_an_input_or_another_output(
    outputs: tuple[str, ...], model: VidTwinModel, video: Path
) -> None:
    before = video.read_bytes()
    assert "named twice" in refusal("reconstruct", video, *outputs, "--model", "tiny")
    assert video.read_bytes() == before


def test_a_full_disk_leaves_no_video(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(video_io.VideoWriter, "_write_one", full)
    assert "No space left on device" in refusal("reconstruct", video, "out.mp4", "--model", "tiny")


def test_a_full_disk_leaves_no_latents(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert refusal("encode", video, "latents", "--model", "tiny") == "latents: No space left on device."


def test_a_strip_that_fails_leaves_no_video_either(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refusal("reconstruct", video, "out.mp4", "--model", "tiny", "--strip", "strip.png")


def test_a_full_disk_leaves_no_checkpoint(model: VidTwinModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **rest: Full() if "w" in mode else real(path, mode, **rest)
    )
    assert refusal("convert", "tiny", "back.ckpt", "--to-released") == "No space left on device."


@pytest.mark.parametrize("name", ["tyni", "no/where/here", "."])
def test_an_unknown_model_is_refused(name: str, video: Path) -> None:
    assert "model" in refusal("reconstruct", video, "out.mp4", "--model", name)


def test_broken_weights_are_refused(model: VidTwinModel, video: Path) -> None:
    Path("tiny/model.safetensors").write_bytes(b"nonsense")
    refusal("reconstruct", video, "out.mp4", "--model", "tiny")


def test_a_broken_config_is_refused(model: VidTwinModel, video: Path) -> None:
    config = json.loads(Path("tiny/config.json").read_text())
    Path("tiny/config.json").write_text(json.dumps({**config, "patch_size": 7}))
    assert "patch_size" in refusal("reconstruct", video, "out.mp4", "--model", "tiny")


def test_a_file_that_holds_no_latents_is_refused(model: VidTwinModel, video: Path) -> None:
    assert "no whole latents file" in refusal("decode", video, "out.mp4", "--model", "tiny")
    assert "vidtwin-latents-1" in refusal("decode", "tiny/model.safetensors", "out.mp4", "--model", "tiny")


def test_an_interruption_is_one_line_and_leaves_no_file(
    model: VidTwinModel, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> Iterator[np.ndarray]:
        yield next(decode_latents(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr("vidtwin.modeling_vidtwin.long_video.decode_latents", interrupted)
    assert "interrupted" in refusal("reconstruct", video, "out.mp4", "--model", "tiny")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_midway_stops_a_real_process_cleanly(model: VidTwinModel, place: Path) -> None:
    make_video(Path("long.mp4"), np.tile(smooth_frames(20), (100, 1, 1, 1)))
    before = sorted(place.rglob("*"))
    command = [sys.executable, "-m", "vidtwin", "reconstruct", "long.mp4", "out.mp4", "--model", "tiny"]
    process = subprocess.Popen(
        [*command, "--side-by-side", "--batch-size", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which background jobs ignore
    )
    while not any(file.stat().st_size for file in place.glob(".out.mp4.partial-*")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in stderr
    assert stderr.splitlines()[-1].startswith("Error: interrupted")
    assert sorted(place.rglob("*")) == before


# Odd files: each is reconstructed whole or refused in one line

ODD_CLIPS = {
    "bad_container_name.mp4": 150, "corrupt_decord.mp4": None, "earth_b.avi": 150, "elf.gif": 24,
    "h264_10bit.mp4": 30, "odd_251x177_yuv444.mp4": 40, "one_frame.mp4": 1, "rotated90.mov": 3,
    "truncated_faststart.mp4": None, "vfr_90000tb.mp4": 25,
}  # fmt: skip


@pytest.mark.clips
@pytest.mark.parametrize(("name", "count"), ODD_CLIPS.items())
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_an_odd_clip_comes_back_whole_or_is_refused(
    name: str, count: int | None, fit: str, model: VidTwinModel, clips_folder: Path
) -> None:
    source = clips_folder / "odd_clips" / name
    arguments = ("reconstruct", source, "out.mp4", "--model", "tiny", "--fit", fit)
    if count is None:
        assert name in refusal(*arguments)
        return
    done(*arguments)
    frames, fps = read_video("out.mp4")
    with video_io.VideoReader(source) as reader:
        assert len(frames) == count and fps == reader.fps


@pytest.mark.clips
def test_every_odd_clip_is_known(clips_folder: Path) -> None:
    found = {path.name for path in (clips_folder / "odd_clips").iterdir() if path.suffix != ".md"}
    assert found == set(ODD_CLIPS)
