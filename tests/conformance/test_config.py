"""transformers' common tests of a configuration, each its own test, on VidTwinConfig."""

import unittest

from parameterized import parameterized
from tests.test_configuration_common import ConfigTester

from vidtwin import VidTwinConfig

CHECKS = sorted(name for name in dir(ConfigTester) if name.startswith(("create_and_test_", "check_")))


class VidTwinConfigTest(unittest.TestCase):
    @parameterized.expand(CHECKS)
    def test_config(self, check: str) -> None:
        tester = ConfigTester(self, config_class=VidTwinConfig, has_text_modality=False, hidden_size=48)
        getattr(tester, check)()
