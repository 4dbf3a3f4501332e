"""Cards say what was measured, and parse."""

from huggingface_hub import ModelCard

from vidtwin.configuration import VidTwinConfig
from vidtwin.hub_cards.cards import demo_card, trained_card

FACTS = {"parameters": 2846568, "dtype": "float16", "clips": 200, "recipe": "demo", "losses": "L1, no GAN"}
QUALITY = {
    "mean_psnr": {"model": 18.0, "bicubic": 21.5, "mean_colour": 14.5},
    "num_videos": 3,
    "protocol": "25 fps",
}


def test_the_demo_card_parses_and_names_licence_and_library():
    card = ModelCard(demo_card(VidTwinConfig(image_size=112, patch_size=8), FACTS, None))
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "vidtwin"
    assert "0.82%" in card.text


def test_the_card_gives_the_measured_means_beside_both_baselines():
    text = demo_card(VidTwinConfig(), FACTS, QUALITY)
    assert "| this model, as stored | 18.00 |" in text
    assert "| bicubic to 10x10 pixels a frame and back (4,800 numbers) | 21.50 |" in text


def test_an_unmeasured_model_says_so():
    assert "Not measured." in demo_card(VidTwinConfig(), FACTS, None)


def test_a_trained_models_card_parses_and_tells_how_it_was_trained():
    card = ModelCard(
        trained_card(VidTwinConfig(), "me/mine", {"parameters": 7, "steps": "3 of 3"}, {"PSNR": 30.25})
    )
    assert card.data.library_name == "vidtwin" and "vidtwin" in card.data.tags
    assert 'from_pretrained("me/mine")' in card.text
    assert "- steps: 3 of 3" in card.text and "- PSNR: 30.25" in card.text


def test_a_trained_model_that_was_not_measured_says_so():
    assert "Not measured." in trained_card(VidTwinConfig(), "me/mine", {"parameters": 7}, {})
