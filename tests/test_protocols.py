"""Protocols name what they are, and a model of another size says so."""

from vidtwin.evaluation.protocols import PROTOCOLS


def test_the_protocols_are_those_that_were_published():
    assert {name: (each.fps, each.image_size) for name, each in PROTOCOLS.items()} == {
        "vidtwin": (25.0, 224),
        "vidtok": (30.0, 256),
    }


def test_a_model_of_another_size_is_told():
    assert "(the protocol's" not in PROTOCOLS["vidtwin"].describe(224, 16)
    assert "short side 112 and centre crop (the protocol's is 224)" in PROTOCOLS["vidtwin"].describe(112, 16)
