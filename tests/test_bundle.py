"""The bundled form of a trained model."""

import json

import torch

from vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.training.bundle import main


def test_a_run_becomes_a_half_precision_folder_with_processor_and_card(tiny_model, tmp_path):
    run, folder = tmp_path / "run", tmp_path / "bundled"
    tiny_model.save_pretrained(run)
    (run / "trainer_state.json").write_text(json.dumps({"global_step": 7, "train_batch_size": 2}))
    main([str(run), str(folder)])
    model = VidTwinModel.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert torch.equal(model.head.proj.weight, tiny_model.head.proj.weight.half())
    assert VidTwinVideoProcessor.from_pretrained(folder).crop_size.height == tiny_model.config.image_size
    card = (folder / "README.md").read_text()
    wanted = "14 clips in all, at the end by recipe `demo` of the package: L1, KL x 0.01, no LPIPS, no GAN"
    assert wanted in card
    assert "Not measured." in card
    main([str(run), str(folder), "--recipe", "demo_gan", "--earlier", str(run), str(run)])
    card = (folder / "README.md").read_text()
    assert "42 clips in all, at the end by recipe `demo_gan`" in card
    assert "no LPIPS, GAN from step 1,800 of 2,000 x 0.05" in card
