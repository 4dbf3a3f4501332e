"""transformers' common tests of a video processor on VidTwinVideoProcessor."""

import unittest
from typing import Any

from tests.test_video_processing_common import VideoProcessingTestMixin, prepare_video_inputs

from vidtwin import VidTwinVideoProcessor


class VidTwinVideoProcessingTester:
    """Random videos for the common tests, and the shape the processor must make of them."""

    batch_size, num_frames, num_channels = 3, 8, 3
    side = 18  # on purpose no multiple of any patch size

    def prepare_video_inputs(self, equal_resolution: bool = False, return_tensors: str = "pil") -> list:
        return prepare_video_inputs(
            batch_size=self.batch_size,
            num_frames=self.num_frames,
            num_channels=self.num_channels,
            min_resolution=30,
            max_resolution=80,
            equal_resolution=equal_resolution,
            return_tensors=return_tensors,
        )

    def expected_output_video_shape(self, videos: list) -> tuple[int, ...]:
        return (self.num_frames, self.num_channels, self.side, self.side)


class VidTwinVideoProcessingTest(VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = VidTwinVideoProcessor
    test_cast_dtype = True

    def setUp(self) -> None:
        super().setUp()
        self.video_processor_tester = VidTwinVideoProcessingTester()

    @property
    def video_processor_dict(self) -> dict[str, Any]:
        side = self.video_processor_tester.side
        return {
            "do_resize": True,
            "size": {"shortest_edge": side + 2},
            "do_center_crop": True,
            "crop_size": {"height": side, "width": side},
            "do_normalize": True,
            "image_mean": [0.4, 0.5, 0.6],
            "image_std": [0.3, 0.2, 0.1],
            "do_convert_rgb": True,
        }
