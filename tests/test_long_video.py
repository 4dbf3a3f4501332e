"""long_video: any number of frames in, exactly as many out, with a bounded number in memory."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from video_maker import smooth_frames

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
from vidtwin.modeling_vidtwin.long_video import (
    decode_latents,
    encode_clips,
    encode_frames,
    iter_clips,
    reconstruct_frames,
    reconstruct_parts,
    swap_frames,
)


@pytest.fixture
def model(tiny_model: VidTwinModel) -> VidTwinModel:
    """The tiny VidTwin with weights so large that every latent and every frame shows in the pixels."""
    torch.manual_seed(1)
    for parameter in tiny_model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return tiny_model


@pytest.fixture
def processor(tiny_config: VidTwinConfig) -> VidTwinVideoProcessor:
    return VidTwinVideoProcessor.from_config(tiny_config)


@pytest.fixture
def frames() -> np.ndarray:
    """Nine frames of noise around moving colours: two clips of four frames and one of one."""
    noise = np.random.default_rng(0).integers(-20, 20, (9, 48, 64, 3))
    return (smooth_frames(9) + noise).clip(0, 255).astype(np.uint8)


def stacked(pictures: Iterator[np.ndarray]) -> np.ndarray:
    return np.stack(list(pictures))


def differ(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two pictures, in levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# Clips


@pytest.mark.parametrize(("count", "real"), [(1, [1]), (3, [3]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_clips_hold_every_frame_once_and_know_how_many_are_real(count: int, real: list[int]) -> None:
    clips = list(iter_clips(np.arange(count).reshape(-1, 1, 1, 1), 4))
    assert [number for _, number in clips] == real
    assert [int(v) for clip, number in clips for v in clip[:number, 0, 0, 0]] == list(range(count))


def test_the_last_clip_is_filled_with_the_last_frame() -> None:
    clips = list(iter_clips(np.arange(6).reshape(-1, 1, 1, 1), 4))
    assert clips[1][0].ravel().tolist() == [4, 5, 5, 5]


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        list(iter_clips([], 4))


# Reconstruction


@pytest.mark.parametrize("count", [1, 7, 16, 17, 33, 250])
def test_as_many_frames_come_out_as_went_in(count: int, tiny_config: VidTwinConfig) -> None:
    config = VidTwinConfig.from_dict({**tiny_config.to_dict(), "num_frames": 16})
    model, processor = VidTwinModel(config).eval(), VidTwinVideoProcessor.from_config(config)
    reconstructed = stacked(reconstruct_frames(model, processor, smooth_frames(count)))
    assert reconstructed.shape == (count, 32, 32, 3) and reconstructed.dtype == np.uint8


def test_a_reconstruction_is_the_models_own_clip_after_clip(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    clips = np.stack([frames[:4], frames[4:8], np.repeat(frames[8:], 4, axis=0)])
    with torch.no_grad():
        video = model(processor(list(clips), return_tensors="pt").pixel_values_videos).reconstruction
    wanted = np.concatenate(processor.postprocess(video))[:9]
    assert differ(stacked(reconstruct_frames(model, processor, frames)), wanted) <= 1


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_batch_size_changes_nothing(
    batch_size: int, model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    one, other = (
        stacked(reconstruct_frames(model, processor, frames, batch_size=size)) for size in (batch_size, 3)
    )
    assert differ(one, other) <= 1


@pytest.mark.parametrize("batch_size", [1, 3])
def test_frames_are_read_only_as_they_are_needed(
    batch_size: int, model: VidTwinModel, processor: VidTwinVideoProcessor
) -> None:
    read = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in smooth_frames(100):
            read += 1
            yield frame

    ahead = [
        read - given
        for given, _ in enumerate(reconstruct_parts(model, processor, counted(), batch_size=batch_size))
    ]
    assert len(ahead) == 100 and max(ahead) == 4 * batch_size


def test_the_original_is_shown_as_the_model_saw_it(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    square = frames[:, 8:40, 16:48]
    shown = [pictures["original"] for pictures in reconstruct_parts(model, processor, square)]
    assert np.array_equal(np.stack(shown), square)


def test_a_part_alone_is_its_own_latents_decoded(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    structure, dynamics, count = encode_frames(model, processor, frames)
    for part, latents in (("structure", (structure, None)), ("dynamics", (None, dynamics))):
        wanted = stacked(decode_latents(model, processor, *latents, count))
        assert differ(stacked(reconstruct_frames(model, processor, frames, part)), wanted) <= 1
        assert differ(stacked(reconstruct_frames(model, processor, frames)), wanted) > 10


def test_the_video_is_encoded_once_for_all_parts(
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    frames: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, calls = model.encode, []
    monkeypatch.setattr(model, "encode", lambda video: calls.append(len(video)) or encode(video))
    list(reconstruct_parts(model, processor, frames, batch_size=2))
    assert calls == [2, 1]


def test_padding_is_cut_away_again(
    model: VidTwinModel, tiny_config: VidTwinConfig, frames: np.ndarray
) -> None:
    processor = VidTwinVideoProcessor.from_config(tiny_config, fit="pad")
    pictures = next(reconstruct_parts(model, processor, frames))
    assert {name: picture.shape for name, picture in pictures.items()} == dict.fromkeys(
        ("original", "all", "structure", "dynamics"), (24, 32, 3)
    )


def test_a_model_in_half_precision_takes_the_same_video(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    exact = stacked(reconstruct_frames(model, processor, frames))
    half = stacked(reconstruct_frames(model.to(torch.bfloat16), processor, frames))
    assert np.abs(exact.astype(float) - half).mean() < 2


def test_an_unknown_part_is_refused(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="all, structure, dynamics, got 'motion'"):
        next(reconstruct_parts(model, processor, frames, ("motion",)))


def test_a_model_in_training_is_refused(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        next(encode_clips(model.train(), processor, frames))


def test_a_batch_of_nothing_is_refused(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        next(encode_clips(model, processor, frames, batch_size=0))


# Latents


def test_latents_decode_to_the_reconstruction(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    decoded = stacked(
        decode_latents(model, processor, *encode_frames(model, processor, frames), batch_size=2)
    )
    assert differ(decoded, stacked(reconstruct_frames(model, processor, frames))) <= 1


def test_latents_have_the_documented_shapes_and_no_graph(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    structure, dynamics, count = encode_frames(model, processor, frames, batch_size=2)
    assert structure.shape == (3, 4, 2, 2, 2) and dynamics.shape == (3, 4, 4, 4) and count == 9
    assert not structure.requires_grad and not dynamics.requires_grad


def test_the_encoder_half_gives_the_same_latents(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    half = VidTwinEncoderModel(model.config).eval()
    half.load_state_dict({name: model.state_dict()[name] for name in half.state_dict()})
    whole = encode_frames(model, processor, frames)
    assert all(map(torch.equal, encode_frames(half, processor, frames)[:2], whole[:2]))


@pytest.mark.parametrize("count", [0, 4, 8, 13])
def test_latents_that_do_not_make_the_frames_are_refused(
    count: int, model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    structure, dynamics, _ = encode_frames(model, processor, frames)
    with pytest.raises(ValueError, match=f"{count} frames need"):
        next(decode_latents(model, processor, structure, dynamics, count))


# Swapping


def test_a_video_swapped_with_itself_is_its_reconstruction(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    swapped = stacked(swap_frames(model, processor, frames, frames))
    assert differ(swapped, stacked(reconstruct_frames(model, processor, frames))) <= 1


def test_a_swap_takes_structure_from_the_first_and_dynamics_from_the_second(
    model: VidTwinModel, processor: VidTwinVideoProcessor, frames: np.ndarray
) -> None:
    structure, _, count = encode_frames(model, processor, frames)
    _, dynamics, _ = encode_frames(model, processor, frames[::-1])
    wanted = stacked(decode_latents(model, processor, structure, dynamics, count))
    assert differ(stacked(reconstruct_frames(model, processor, frames)), wanted) > 10
    assert differ(stacked(swap_frames(model, processor, frames, frames[::-1])), wanted) <= 1


def test_a_swap_cuts_the_bars_of_the_structures_video(
    model: VidTwinModel, tiny_config: VidTwinConfig, frames: np.ndarray
) -> None:
    processor = VidTwinVideoProcessor.from_config(tiny_config, fit="pad")
    upright = frames.transpose(0, 2, 1, 3)
    assert next(swap_frames(model, processor, frames, upright)).shape == (24, 32, 3)
    assert next(swap_frames(model, processor, upright, frames)).shape == (32, 24, 3)


@pytest.mark.parametrize(("structure", "dynamics"), [(9, 5), (5, 9), (9, 4), (1, 9)])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_swap_ends_with_the_shorter_video(
    structure: int,
    dynamics: int,
    batch_size: int,
    model: VidTwinModel,
    processor: VidTwinVideoProcessor,
    frames: np.ndarray,
) -> None:
    swapped = swap_frames(model, processor, frames[:structure], frames[:dynamics], batch_size)
    assert len(list(swapped)) == min(structure, dynamics)
