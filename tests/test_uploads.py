"""What a push would send is listed whole, true of this model, and without anybody's folders or secrets."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from vidtwin import VidTwinEncoderModel, VidTwinVideoProcessor
from vidtwin.hub_cards.uploads import Upload, uploads
from vidtwin.modeling_vidtwin.model_folder import find_model

REPO = "me/mine"
HOME = "/somewhere/of/mine"
SUMMARY = {
    "model": f"{HOME}/runs/one",
    "data": f"{HOME}/clips",
    "protocol": "vidtwin: 25 fps",
    "lpips_net": None,
    "compression_rate": 0.01,
    "latent_numbers": 9,
    "n_clips": 3,
    "n_videos": 2,
    "notes": [],
    "refused": [{"video": f"{HOME}/broken.mp4", "reason": "is damaged."}],
    "metrics": {"psnr": 20.5, "ssim": 0.5},
}


@pytest.fixture
def folder(tiny_model, tmp_path) -> Path:
    """A model as training leaves it, with what does not belong on the Hub."""
    path = tmp_path / "run"
    tiny_model.save_pretrained(path)
    VidTwinVideoProcessor.from_config(tiny_model.config, "pad").save_pretrained(path)
    (path / "training_args.bin").write_bytes(b"pickle")
    (path / "model.safetensors.tmp").write_bytes(b"left over")
    (path / "checkpoint-3").mkdir()
    return path


def planned(source: object, repo: str = REPO, **options) -> Upload:
    with uploads(str(source), repo, **options) as found:
        return found[0]


def text_of(upload: Upload, name: str = "README.md") -> str:
    what = upload.files[name]
    return what.decode() if isinstance(what, bytes) else what.read_text()


def evaluation_of(folder: Path, place: Path, **changes) -> Path:
    place.mkdir()
    summary = {**SUMMARY, "model_sha256": find_model(str(folder)).sha256(), **changes}
    (place / "summary.json").write_text(json.dumps(summary))
    (place / "scores.csv").write_text(f"video,clip,psnr\n{HOME}/a.mp4,0,20.0\nb/c.mp4,0,21.0\n")
    (place / "best.mp4").write_bytes(b"somebody's video")
    return place


def test_what_goes_is_listed_and_what_stays_too(folder):
    found = planned(folder)
    text = "\n".join(found.lines())
    assert {"README.md", "config.json", "model.safetensors", "modeling_vidtwin.py"} <= set(found.files)
    assert found.left_out == ("checkpoint-3", "model.safetensors.tmp", "training_args.bin")
    assert f"{(folder / 'model.safetensors').stat().st_size:>15,}  model.safetensors" in text
    assert "stays here  training_args.bin" in text


def test_the_processor_goes_as_it_is(folder):
    """With its own fit, not another."""
    ours = json.loads((folder / "video_preprocessor_config.json").read_text())
    assert json.loads(text_of(planned(folder), "video_preprocessor_config.json"))["size"] == ours["size"]


def test_a_folder_goes_before_a_bundled_model_of_its_name(folder, monkeypatch):
    folder.rename(folder.with_name("demo"))
    monkeypatch.chdir(folder.parent)
    assert planned("demo").files["model.safetensors"] == folder.with_name("demo") / "model.safetensors"


def test_a_model_of_the_hub_is_refused(hub, folder):
    """Its card would not come along, and with it the licence and the authors."""
    hub.put("me/there", {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
    with pytest.raises(ValueError, match="a folder is pushed, got 'me/there' of the Hub"):
        planned("me/there")


def test_an_encoder_alone_has_a_card_of_its_own(tiny_config, tmp_path):
    VidTwinEncoderModel(tiny_config).save_pretrained(tmp_path / "encoder")
    VidTwinVideoProcessor.from_config(tiny_config).save_pretrained(tmp_path / "encoder")
    found = planned(tmp_path / "encoder")
    auto_map = json.loads(text_of(found, "config.json"))["auto_map"]
    assert auto_map["AutoModel"] == "modeling_vidtwin.VidTwinEncoderModel"
    card = text_of(found)
    assert "VidTwinEncoderModel.from_pretrained" in card and "model.decode" not in card
    assert "| operations a clip, encode |" in card and "vidtwin reconstruct" not in card


def test_the_folders_own_card_goes_as_it_is(folder):
    """Other ids in it are other models'."""
    own = '---\nlicense: mit\n---\nCLIPModel.from_pretrained("openai/clip")\ntool --model gpt2\n'
    (folder / "README.md").write_text(own)
    assert text_of(planned(folder)) == own


def test_a_card_that_the_package_wrote_takes_the_new_name(folder):
    (folder / "README.md").write_text(text_of(planned(folder, "me/first")))
    card = text_of(planned(folder, "you/second"))
    assert "first" not in card and 'from_pretrained("you/second"' in card
    assert ModelCard(card).data.model_name == "second" and "\n# second\n" in card


def test_a_card_of_ones_own_is_sent(folder, tmp_path):
    (tmp_path / "card.md").write_text("---\nlicense: mit\n---\nmine\n")
    assert text_of(planned(folder, card=tmp_path / "card.md")).endswith("mine\n")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"---\nlicense: [\n---\n", None])
def test_a_card_that_is_none_is_refused_by_name(folder, tmp_path, content):
    if content is not None:
        (tmp_path / "card.md").write_bytes(content)
    with pytest.raises(ValueError, match=r"card\.md (must be a card in UTF-8|is no file)"):
        planned(folder, card=tmp_path / "card.md")


def test_an_evaluation_goes_along_without_local_names(folder, tmp_path):
    found = planned(folder, evaluation=evaluation_of(folder, tmp_path / "evaluation"))
    names = {name for name in found.files if name.startswith("evaluation/")}
    assert names == {f"evaluation/{name}" for name in ("summary.json", "table.md", "scores.csv")}
    assert not any(HOME in text_of(found, name) for name in [*names, "README.md"])
    assert "a.mp4,0,20.0\nb/c.mp4,0,21.0\n" in text_of(found, "evaluation/scores.csv")
    card = ModelCard(text_of(found))
    assert {each.metric_type: each.metric_value for each in card.data.eval_results} == {
        "psnr": 20.5, "ssim": 0.5,
    }  # fmt: skip
    assert "| me/mine | 1.0000% | 9 | 20.5 | 0.5 | 3 |" in card.text


def test_an_address_loses_password_and_signature(folder, tmp_path):
    data = "https://me:secret@host/a/0.tar?X-Signature=secret#secret"
    found = planned(folder, evaluation=evaluation_of(folder, tmp_path / "evaluation", data=data))
    assert not any("secret" in text_of(found, name) for name in found.files if "model." not in name)
    assert json.loads(text_of(found, "evaluation/summary.json"))["data"] == "https://host/a/0.tar"


def test_another_models_evaluation_is_refused(folder, tmp_path):
    place = evaluation_of(folder, tmp_path / "evaluation", model_sha256="other")
    with pytest.raises(ValueError, match="is the evaluation of another model"):
        planned(folder, evaluation=place)
    for content in ("{", '{"a": 1}', "[1]"):
        (place / "summary.json").write_text(content)
        with pytest.raises(ValueError, match="evaluation is no whole report of"):
            planned(folder, evaluation=place)
    (place / "summary.json").unlink()
    with pytest.raises(ValueError, match=r"holds no summary\.json"):
        planned(folder, evaluation=place)


def test_a_half_written_model_is_not_sent(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut short"):
        planned(folder)


@pytest.mark.parametrize("name", ["mine", "me/mine/three", "me/..", "me/mi ne", ""])
def test_names_that_are_none_are_refused(folder, name):
    with pytest.raises(ValueError, match="a repository is named like org/name"):
        planned(folder, name)


def test_only_what_an_earlier_push_sent_is_replaced():
    there = [
        "model-00001-of-00002.safetensors", "model.safetensors.index.json", "model_ema.safetensors", "a.tar",
        "evaluation/summary.json", "evaluation/mine.txt", "unet/model.safetensors", "train-00000.tar",
    ]  # fmt: skip
    model = Upload(REPO, "model", {"model.safetensors": b""})
    assert model.replaced(there) == [there[0], there[1], there[4]]
    assert Upload(REPO, "dataset", {"train-00001.tar": b""}).replaced(there) == ["train-00000.tar"]
    assert Upload(REPO, "space", {}).replaced(there) == []


@pytest.fixture
def shards(tmp_path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "train-00000.tar").write_bytes(b"0" * 1024)
    report = {
        "settings": {"short_side": 256, "gop": 12}, "videos": 2, "clips": 5, "seconds": 9.5, "labels": {},
        "refused": [], "megabytes": 0.001, "tars": {"train-00000.tar": {"clips": 5, "bytes": 1024}},
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "notes.txt").write_text("mine")
    return folder


def test_shards_become_a_data_set(shards):
    found = planned(shards)
    assert found.kind == "dataset" and set(found.files) == {"README.md", "report.json", "train-00000.tar"}
    assert f"hf://datasets/{REPO}/*.tar" in text_of(found) and found.left_out == ("notes.txt",)
    (shards / "README.md").write_text("---\nlicense: cc0-1.0\n---\nmine\n")
    assert text_of(planned(shards)).endswith("mine\n")


def test_shards_that_are_not_whole_are_refused(shards, tmp_path):
    with pytest.raises(ValueError, match="belongs to a model"):
        planned(shards, evaluation=tmp_path)
    (shards / "train-00001.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="has not the tars that its report"):
        planned(shards)
    (shards / "report.json").unlink()
    with pytest.raises(ValueError, match=r"no report\.json"):
        planned(shards)


def test_the_metrics_go_to_spaces_of_the_same_owner(folder):
    with uploads(str(folder), REPO, metrics=True) as (_, *spaces):
        assert {space.repo for space in spaces} >= {"me/fvd", "me/psnr"} and len(spaces) == 6
        assert {space.kind for space in spaces} == {"space"}
