"""VidTwinVideoProcessor: sizes, values, views, the way back to pixels, saving."""

import copy
import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoVideoProcessor

from vidtwin import VidTwinConfig, VidTwinVideoProcessor
from vidtwin.modeling_vidtwin import video_processing_vidtwin
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VideoView

SIDE = 8


@pytest.fixture
def processor() -> VidTwinVideoProcessor:
    return VidTwinVideoProcessor(size=SIDE, crop_size=SIDE)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def pixels(processor: VidTwinVideoProcessor, videos: object, **options: object) -> torch.Tensor:
    return processor(videos, return_tensors="pt", **options).pixel_values_videos


def every_value() -> np.ndarray:
    """A video of one 16x16 frame that holds each of the 256 values once in every colour."""
    return np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


# Shapes and kinds of input


@pytest.mark.parametrize("count", [1, 7, 33])
def test_the_frame_count_is_unchanged(processor: VidTwinVideoProcessor, count: int) -> None:
    assert pixels(processor, noise(count, 9, 12, 3)).shape == (1, count, 3, SIDE, SIDE)


def test_an_image_is_a_video_of_one_frame(processor: VidTwinVideoProcessor) -> None:
    image = noise(9, 12, 3)
    assert torch.equal(pixels(processor, Image.fromarray(image)), pixels(processor, image[None]))


def test_a_grey_image_array_is_a_video_of_one_frame(processor: VidTwinVideoProcessor) -> None:
    image = noise(9, 12)
    assert torch.equal(pixels(processor, image), pixels(processor, image[None, ..., None].repeat(3, axis=3)))


DISGUISES = {
    "a tensor": torch.from_numpy,
    "colour first": lambda video: torch.from_numpy(video).permute(0, 3, 1, 2),
    "a list of arrays": list,
    "a tuple of arrays": tuple,
    "a list of tensors": lambda video: list(torch.from_numpy(video)),
    "a list of images": lambda video: [Image.fromarray(frame) for frame in video],
    "a nested list": lambda video: [list(video)],
    "a batch as a list": lambda video: [video],
    "a batch as an array": lambda video: video[None],
    "floats": lambda video: video.astype(np.float64),
    "negative strides": lambda video: video[::-1].copy()[::-1],
    "opaque alpha": lambda video: np.concatenate([video, np.full_like(video[..., :1], 255)], axis=3),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_every_kind_of_input_gives_the_same_pixels(processor: VidTwinVideoProcessor, disguise) -> None:
    video = noise(5, SIDE, SIDE + 4, 3)
    assert torch.equal(pixels(processor, disguise(video)), pixels(processor, video))


def test_videos_of_different_layouts_go_into_one_batch(processor: VidTwinVideoProcessor) -> None:
    video = noise(2, 9, 12, 3)
    batch = pixels(processor, [torch.from_numpy(video), torch.from_numpy(video).permute(0, 3, 1, 2)])
    assert torch.equal(batch[0], batch[1])


def test_videos_of_different_sizes_go_into_one_batch(processor: VidTwinVideoProcessor) -> None:
    wide, tall = noise(2, 9, 20, 3), noise(2, 31, 10, 3)
    batch = pixels(processor, [wide, tall])
    assert torch.equal(batch, torch.cat([pixels(processor, wide), pixels(processor, tall)]))


def test_transparency_is_laid_over_white(processor: VidTwinVideoProcessor) -> None:
    clear = np.zeros((1, SIDE, SIDE, 4), dtype=np.uint8)
    assert (pixels(processor, clear, input_data_format="channels_last") == 1).all()


def test_half_transparency_is_rounded_to_a_byte(processor: VidTwinVideoProcessor) -> None:
    frames = np.full((1, SIDE, SIDE, 4), [10, 10, 10, 100], dtype=np.uint8)
    assert pixels(processor, frames)[0, 0, 0, 0, 0] == (torch.tensor(159.0) - 127.5) / 127.5


def test_transparency_survives_a_mode_with_it(processor: VidTwinVideoProcessor) -> None:
    assert (pixels(processor, Image.new("LA", (SIDE, SIDE), (0, 0))) == 1).all()


def test_float_frames_with_transparency_are_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="transparency must be uint8, got torch.float32"):
        processor(torch.zeros(1, 4, SIDE, SIDE))


@pytest.mark.parametrize("mode", ["P", "L", "LA", "CMYK", "1", "HSV"])
def test_an_image_of_any_mode_keeps_its_colours(processor: VidTwinVideoProcessor, mode: str) -> None:
    image = Image.fromarray(noise(SIDE, SIDE, 3)).convert(mode)
    assert torch.equal(pixels(processor, [image, image])[0, 1], pixels(processor, image.convert("RGB"))[0, 0])


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 8, 8, 5), (2, 8, 8, 2), (2, 6, 0, 3), (3, 16, 8, 8)])
def test_a_video_without_frames_or_a_colour_axis_is_refused(
    processor: VidTwinVideoProcessor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="1, 3 or 4 colours and at least one frame"):
        processor(np.zeros(shape, dtype=np.uint8))


def test_a_layout_that_contradicts_the_shape_is_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="1, 3 or 4 colours"):
        processor(noise(2, 9, 12, 3), input_data_format="channels_first")


def test_a_picture_three_pixels_high_is_read_as_the_layout_says(processor: VidTwinVideoProcessor) -> None:
    video = noise(1, 3, 3, 3)
    first = pixels(processor, video, input_data_format="channels_first")
    last = pixels(processor, video.transpose(0, 2, 3, 1), input_data_format="channels_last")
    assert torch.equal(first, last)


@pytest.mark.parametrize("empty", [[], [[]]])
def test_an_empty_list_is_refused(processor: VidTwinVideoProcessor, empty: list) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        processor(empty)


def test_the_input_is_left_as_it_was(processor: VidTwinVideoProcessor) -> None:
    video = torch.rand(2, 3, SIDE, SIDE)
    before = video.clone()
    processor(video, do_rescale=False)
    assert torch.equal(video, before)


# Values


def test_uint8_becomes_minus_one_to_one(processor: VidTwinVideoProcessor) -> None:
    ends = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1).repeat(SIDE, 1).repeat(SIDE, 2).repeat(3, 3)
    assert pixels(processor, ends)[0, :, 0, 0, 0].tolist() == [-1, 1]


def test_unit_floats_without_rescaling_are_the_same_video(processor: VidTwinVideoProcessor) -> None:
    video = noise(2, SIDE, SIDE, 3)
    unit = pixels(processor, video / 255.0, do_rescale=False)
    torch.testing.assert_close(unit, pixels(processor, video))


def test_integers_other_than_bytes_are_resized_without_rounding(processor: VidTwinVideoProcessor) -> None:
    video = noise(1, 13, 13, 3)
    assert torch.equal(pixels(processor, video.astype(np.int32)), pixels(processor, video.astype(np.float32)))


def test_the_default_resize_is_bilinear_with_antialiasing(processor: VidTwinVideoProcessor) -> None:
    video = torch.rand(1, 3, 20, 20)
    small = torch.nn.functional.interpolate(video, (SIDE, SIDE), mode="bilinear", antialias=True)
    torch.testing.assert_close(pixels(processor, video, do_rescale=False)[0], small * 2 - 1)


@pytest.mark.parametrize(
    ("low", "high", "options"),
    [
        (-1.0, 1.0, {}),
        (0.0, 256.0, {}),
        (-1.0, 1.0, {"do_rescale": False}),
        (0.0, 255.0, {"do_rescale": False}),
        (0.0, float("nan"), {}),
    ],
)
def test_values_out_of_range_are_refused(
    processor: VidTwinVideoProcessor, low: float, high: float, options: dict
) -> None:
    video = torch.full((1, 3, SIDE, SIDE), low)
    video[0, 0, 0, 0] = high
    with pytest.raises(ValueError, match=r"must lie in \[0, (1|255)\], got .* Pass uint8 frames"):
        processor(video, **options)


def test_bytes_without_rescaling_are_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        processor(noise(1, SIDE, SIDE, 3), do_rescale=False)


def test_floats_that_were_scaled_already_are_refused_not_darkened(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="scaled to .* already"):
        processor(torch.rand(1, 3, SIDE, SIDE))


def test_a_black_float_video_is_no_error(processor: VidTwinVideoProcessor) -> None:
    assert (pixels(processor, torch.zeros(1, 3, SIDE, SIDE)) == -1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_bicubic_resize_stays_between_minus_one_and_one(processor: VidTwinVideoProcessor, dtype) -> None:
    checks = (np.indices((9, 9)).sum(axis=0) // 3 % 2 * 255)[None, ..., None].repeat(3, axis=3)
    found = pixels(processor, checks.astype(dtype), size=31, crop_size=31, resample=3)
    assert (found.min(), found.max()) == (-1, 1)


# Which part of the picture is seen


def test_the_centre_square_is_kept(processor: VidTwinVideoProcessor) -> None:
    video = noise(1, SIDE, SIDE + 6, 3)
    assert torch.equal(pixels(processor, video), pixels(processor, video[:, :, 3:-3]))


def test_pad_keeps_the_whole_picture_between_black_bars(processor: VidTwinVideoProcessor) -> None:
    found = pixels(processor, noise(1, 4, SIDE, 3) // 2 + 100, fit="pad")
    dark = (found == -1).all(dim=(0, 1, 2, 4)).tolist()
    assert dark == [True] * 2 + [False] * 4 + [True] * 2


def test_squash_resizes_both_sides(processor: VidTwinVideoProcessor) -> None:
    columns = np.repeat(np.array([0, 255], dtype=np.uint8), 16)[None, None, :, None]
    found = pixels(processor, np.broadcast_to(columns, (1, 4, 32, 3)), fit="squash")
    assert found[0, 0, 0, 0, [0, 1, 2, -3, -2, -1]].tolist() == [-1, -1, -1, 1, 1, 1]


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("height,width", [(8, 8), (9, 20), (300, 100), (55, 111), (1, 100), (100, 1), (5, 2)])
def test_every_fit_gives_the_output_its_view_promises(
    processor: VidTwinVideoProcessor, fit: str, height: int, width: int
) -> None:
    found = pixels(processor, np.full((1, height, width, 3), 255, dtype=np.uint8), fit=fit)[0, 0, 0]
    top, left, rows, columns = processor.view(height, width, fit=fit).picture
    expected = torch.full((SIDE, SIDE), -1.0)
    expected[top : top + rows, left : left + columns] = 1.0
    assert torch.equal(found, expected)


def test_a_fit_chosen_at_construction_holds_for_every_call() -> None:
    chosen = VidTwinVideoProcessor(crop_size=SIDE, fit="pad")
    assert chosen.view(4, 8).picture == (2, 0, 4, 8)


def test_a_size_given_later_overrules_the_fit_of_construction() -> None:
    chosen = VidTwinVideoProcessor(crop_size=SIDE, fit="pad")
    video = noise(1, 4, 8, 3)
    squashed = pixels(chosen, video, size={"height": SIDE, "width": SIDE})
    assert torch.equal(squashed, pixels(chosen, video, fit="squash"))


def test_a_fit_of_one_call_is_forgotten_after_it(processor: VidTwinVideoProcessor) -> None:
    video = noise(1, 4, 8, 3)
    before = pixels(processor, video)
    pixels(processor, video, fit="pad")
    assert torch.equal(pixels(processor, video), before)


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(ValueError, match='"crop", "pad" or "squash"'):
        VidTwinVideoProcessor(fit="stretch")


@pytest.mark.parametrize("options", [{"size": SIDE - 1}, {"do_resize": False}])
def test_bars_nobody_asked_for_are_an_error(processor: VidTwinVideoProcessor, options: dict) -> None:
    with pytest.raises(ValueError, match="must not be smaller than crop_size"):
        processor(noise(1, 7, 7, 3), **options)


def test_a_size_of_another_form_is_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="size must be an int or hold shortest_edge"):
        processor(noise(1, 9, 9, 3), size={"shortest_edge": 8, "longest_edge": 9})


def test_a_crop_that_is_no_square_is_filled(processor: VidTwinVideoProcessor) -> None:
    found = pixels(processor, noise(1, 9, 9, 3), crop_size={"height": 4, "width": SIDE}, fit="crop")
    assert found.shape == (1, 1, 3, 4, SIDE)


@pytest.mark.parametrize(("height", "width", "crop"), [(12, 8, (2, 0, 8, 8)), (8, 13, (0, 2, 8, 8))])
def test_a_view_names_the_box_that_is_kept(
    processor: VidTwinVideoProcessor, height: int, width: int, crop: tuple[int, ...]
) -> None:
    view, video = processor.view(height, width), noise(1, height, width, 3)
    kept = video[:, crop[0] : crop[0] + crop[2], crop[1] : crop[1] + crop[3]]
    assert view.crop == crop and torch.equal(pixels(processor, video), pixels(processor, kept))


def test_a_view_describes_itself_in_a_line() -> None:
    processor = VidTwinVideoProcessor()
    lines = [processor.view(720, 1280, fit=fit).describe() for fit in ("crop", "pad", "squash")]
    assert lines == [
        "1280x720 resized to 398x224, centre 224x224 kept (44% cut away)",
        "1280x720 resized to 224x126, padded to 224x224",
        "1280x720 resized to 224x224",
    ]


def test_a_picture_of_the_right_size_is_described_by_its_size() -> None:
    assert VidTwinVideoProcessor().view(224, 224).describe() == "224x224"


def test_padding_is_cut_away_again(processor: VidTwinVideoProcessor) -> None:
    video = noise(2, 5, SIDE, 3)
    padded = processor.postprocess(pixels(processor, video, fit="pad")[0])
    assert np.array_equal(processor.remove_padding(padded, processor.view(5, SIDE, fit="pad")), video)


def test_frames_of_another_size_than_the_view_are_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="for this view"):
        processor.remove_padding(noise(2, 9, 9, 3), processor.view(5, SIDE, fit="pad"))


# The way back


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_postprocess_inverts_every_byte(dtype: torch.dtype) -> None:
    processor = VidTwinVideoProcessor(size=16, crop_size=16)
    values = pixels(processor, every_value())[0].to(dtype)
    assert np.array_equal(processor.postprocess(values), every_value())


@pytest.mark.parametrize(
    "options",
    [{"do_rescale": False}, {"do_normalize": False}, {"image_mean": [0.4, 0.5, 0.6], "image_std": 0.2}],
)
def test_postprocess_inverts_other_scalings_too(options: dict) -> None:
    processor = VidTwinVideoProcessor(size=16, crop_size=16, **options)
    video = every_value() / 255 if "do_rescale" in options else every_value()
    assert np.array_equal(processor.postprocess(pixels(processor, video)[0]), every_value())


def test_postprocess_of_untouched_bytes_returns_them() -> None:
    processor = VidTwinVideoProcessor(size=16, crop_size=16, do_rescale=False, do_normalize=False)
    assert np.array_equal(processor.postprocess(pixels(processor, every_value())[0]), every_value())


def test_postprocess_clamps(processor: VidTwinVideoProcessor) -> None:
    beyond = torch.tensor([-1.5, 1.5]).expand(1, 3, 1, 2)
    assert processor.postprocess(beyond)[0, 0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_postprocess_of_a_batch_is_a_list_of_videos(processor: VidTwinVideoProcessor) -> None:
    batch = torch.rand(2, 3, 3, SIDE, SIDE, requires_grad=True)
    frames = processor.postprocess(batch)
    assert isinstance(frames, list) and np.array_equal(frames[1], processor.postprocess(batch[1]))


def test_postprocess_gives_colour_last_uint8(processor: VidTwinVideoProcessor) -> None:
    frames = processor.postprocess(torch.zeros(2, 3, 4, 5))
    assert (frames.shape, frames.dtype, frames.flags.c_contiguous) == ((2, 4, 5, 3), np.uint8, True)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 5, 3), (1, 1, 2, 3, 4, 5)])
def test_postprocess_refuses_other_shapes(processor: VidTwinVideoProcessor, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be .frames, 3, height, width"):
        processor.postprocess(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_postprocess_refuses_what_is_not_finite(processor: VidTwinVideoProcessor, value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        processor.postprocess(torch.tensor([0.0] * 11 + [value]).view(1, 3, 2, 2))


def test_a_model_without_three_colours_gets_no_processor() -> None:
    with pytest.raises(ValueError, match="a model of 1"):
        VidTwinVideoProcessor.from_config(VidTwinConfig(num_channels=1))


# Sampling


def test_frames_are_sampled_only_on_request(processor: VidTwinVideoProcessor) -> None:
    video = noise(8, SIDE, SIDE, 3)
    assert torch.equal(
        pixels(processor, video, do_sample_frames=True, num_frames=4), pixels(processor, video)[:, ::2]
    )


def test_more_sampled_frames_than_exist_are_refused(processor: VidTwinVideoProcessor) -> None:
    with pytest.raises(ValueError, match="exceeds"):
        processor(noise(8, SIDE, SIDE, 3), do_sample_frames=True, num_frames=9)


# Files


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The frames of "clip.mp4", which exists only for the processor."""
    frames = noise(6, 9, 12, 3)

    def read_video(path: str, fps: float | None = None) -> tuple[np.ndarray, Fraction]:
        assert path == "clip.mp4"
        return frames[:: 1 if fps is None else 2], Fraction(30, 1 if fps is None else 2)

    monkeypatch.setattr(video_processing_vidtwin, "read_video", read_video)
    return frames


@pytest.mark.parametrize("path", ["clip.mp4", Path("clip.mp4"), ["clip.mp4"]])
def test_a_path_is_a_video(processor: VidTwinVideoProcessor, file: np.ndarray, path: object) -> None:
    assert torch.equal(pixels(processor, path), pixels(processor, file))


def test_a_file_is_sampled_by_its_own_rate(processor: VidTwinVideoProcessor, file: np.ndarray) -> None:
    sampled = pixels(processor, "clip.mp4", do_sample_frames=True, fps=15)
    assert torch.equal(sampled, pixels(processor, file[::2]))


def test_the_metadata_of_a_file_names_the_frames_taken(
    processor: VidTwinVideoProcessor, file: np.ndarray
) -> None:
    options = {"do_sample_frames": True, "num_frames": 2, "return_metadata": True}
    (metadata,) = processor("clip.mp4", **options)["video_metadata"]
    assert (metadata.fps, metadata.duration, metadata.frames_indices) == (30, 0.2, [0, 3])


def test_the_metadata_of_a_file_read_whole_names_all_frames(
    processor: VidTwinVideoProcessor, file: np.ndarray
) -> None:
    (metadata,) = processor("clip.mp4", return_metadata=True)["video_metadata"]
    assert (metadata.frames_indices, metadata.height, metadata.width) == ([0, 1, 2, 3, 4, 5], 9, 12)


def test_read_video_passes_the_rate_on(processor: VidTwinVideoProcessor, file: np.ndarray) -> None:
    frames, fps = processor.read_video("clip.mp4", fps=15)
    assert (len(frames), fps) == (3, 15)


def test_a_written_video_is_read_again(processor: VidTwinVideoProcessor, tmp_path: Path) -> None:
    frames = np.full((3, 16, 16, 3), 200, dtype=np.uint8)
    processor.write_video(tmp_path / "grey.mp4", frames, 25)
    found, fps = processor.read_video(tmp_path / "grey.mp4")
    assert (fps, found.shape) == (25, frames.shape) and np.abs(found.astype(int) - frames).max() < 8


# Keeping it


def test_the_processor_of_a_config_has_its_size(tiny_config: VidTwinConfig) -> None:
    processor = VidTwinVideoProcessor.from_config(tiny_config)
    assert (processor.size, processor.crop_size) == ({"shortest_edge": 32}, {"height": 32, "width": 32})


def test_the_default_processor_is_the_one_of_the_default_config() -> None:
    assert VidTwinVideoProcessor.from_config(VidTwinConfig()).to_dict() == VidTwinVideoProcessor().to_dict()


OTHER = {"crop_size": SIDE, "fit": "pad", "do_normalize": None, "do_sample_frames": True, "num_frames": 2}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_is_equal_and_works(copied) -> None:
    processor = VidTwinVideoProcessor(**OTHER)
    twin, video = copied(processor), noise(4, 5, 9, 3)
    assert twin.to_dict() == processor.to_dict()
    assert torch.equal(pixels(twin, video), pixels(processor, video))


def test_saving_and_loading_keeps_everything(tmp_path: Path) -> None:
    processor = VidTwinVideoProcessor(**OTHER)
    processor.save_pretrained(tmp_path)
    twin, video = AutoVideoProcessor.from_pretrained(tmp_path), noise(4, 5, 9, 3)
    assert type(twin) is VidTwinVideoProcessor and twin.to_dict() == processor.to_dict()
    assert torch.equal(pixels(twin, video), pixels(processor, video))


@pytest.mark.parametrize("name", sorted(VidTwinVideoProcessor.valid_kwargs.__annotations__))
def test_an_explicit_none_survives_saving(name: str, tmp_path: Path) -> None:
    processor = VidTwinVideoProcessor(**{name: None})
    processor.save_pretrained(tmp_path)
    assert getattr(VidTwinVideoProcessor.from_pretrained(tmp_path), name, None) is None


def test_the_saved_file_says_the_fit_once_as_size(tmp_path: Path) -> None:
    VidTwinVideoProcessor(crop_size=SIDE, fit="pad").save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "video_preprocessor_config.json").read_text())
    assert (saved["size"], "fit" in saved) == ({"max_height": SIDE, "max_width": SIDE}, False)


def test_a_fit_can_be_chosen_while_loading(processor: VidTwinVideoProcessor, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    loaded = VidTwinVideoProcessor.from_pretrained(tmp_path, fit="squash")
    square, whole = (SIDE, SIDE), (0, 0, SIDE, SIDE)
    assert loaded.view(4, 8) == VideoView((4, 8), square, square, whole, whole)
