"""model_folder: a model by its name, its fingerprint, and where and how it runs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidtwin import VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
from vidtwin.modeling_vidtwin import model_folder
from vidtwin.modeling_vidtwin.model_folder import choose_device, choose_dtype, find_model, new_folder

CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_model: VidTwinModel, tmp_path: Path) -> Path:
    """The tiny model and its processor, saved."""
    tiny_model.save_pretrained(tmp_path / "tiny")
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


# Names


def test_a_folder_loads_the_model_it_holds(folder: Path, tiny_model: VidTwinModel) -> None:
    loaded = find_model(str(folder)).load(CPU)
    assert same_weights(loaded, tiny_model) and not loaded.training


def test_a_bundled_name_comes_before_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "bundled_model", lambda name: folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert find_model("demo").path == folder


@pytest.mark.parametrize("name", ["tiyn", "./tiyn", "a/b/c", "/nowhere/model"])
def test_an_unknown_name_is_refused_with_what_exists(name: str) -> None:
    with pytest.raises(ValueError, match="Hub id such as org/name. A bundled model must be one of"):
        find_model(name)


def test_a_model_that_the_hub_does_not_give_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="the Hub did not give it: ") as refused:
        find_model("nobody/nothing")
    assert "\n" not in str(refused.value)


def test_a_model_of_the_hub_is_known_by_its_commit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(
        model_folder, "snapshot_download", lambda name, **options: asked.update(options) or str(folder)
    )
    found = find_model("org/name", revision="v1")
    assert (found.name, found.revision, asked["revision"]) == ("org/name", folder.name, "v1")


def test_a_revision_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="revision is for a model of the Hub"):
        find_model(str(folder), revision="main")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"without config\.json"):
        find_model(str(tmp_path))


# Loading


def test_the_encoder_half_loads_alone(folder: Path, tiny_model: VidTwinModel) -> None:
    encoder = find_model(str(folder)).load(CPU, kind=VidTwinEncoderModel)
    assert type(encoder) is VidTwinEncoderModel and same_weights(encoder, tiny_model)


@pytest.mark.parametrize(("dtype", "loaded"), [(None, torch.float32), (torch.bfloat16, torch.bfloat16)])
def test_the_dtype_is_the_stored_one_unless_another_is_asked_for(
    dtype: torch.dtype | None, loaded: torch.dtype, folder: Path
) -> None:
    assert find_model(str(folder)).load(CPU, dtype).dtype == loaded


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_processor_fits_as_asked(fit: str, folder: Path, tiny_model: VidTwinModel) -> None:
    wanted = VidTwinVideoProcessor.from_config(tiny_model.config, fit=fit).view(48, 64)
    assert find_model(str(folder)).processor(fit).view(48, 64) == wanted


def test_a_folder_without_processor_is_refused_with_the_remedy(folder: Path) -> None:
    (folder / "video_preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="save_pretrained"):
        find_model(str(folder)).processor()


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\*\.safetensors"):
        find_model(str(folder)).load(CPU)


def test_missing_tensors_are_named_and_never_made_up(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["head.modulation"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 of the model's tensors, such as head\.modulation"):
        find_model(str(folder)).load(CPU)


def test_tensors_without_a_place_are_refused(folder: Path) -> None:
    """A deeper model's weights beside a shallow configuration would compute something else."""
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layers.7.modulation"] = tensors["encoder.layers.0.modulation"].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 tensors for which .*, such as encoder\.layers\.7\.modulation"):
        find_model(str(folder)).load(CPU)


def test_tensors_of_another_shape_are_named_in_one_line(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["head.modulation"] = torch.zeros(2, 5)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"holds 1 tensors of other shapes .*, such as head\.modulation\.$"):
        find_model(str(folder)).load(CPU)


def test_weights_cut_short_are_refused_by_their_files_name(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or cut short"):
        find_model(str(folder)).load(CPU)


@pytest.mark.parametrize(("content", "message"), [("{", r"config\.json is no JSON"), ("[1]", "of type None")])
def test_a_damaged_configuration_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        find_model(str(folder)).load(CPU)


def test_a_damaged_processor_is_refused_by_its_files_name(folder: Path) -> None:
    (folder / "video_preprocessor_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"video_preprocessor_config\.json is no JSON of a video processor"):
        find_model(str(folder)).processor()


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ValueError, match="type 'vit'"):
        find_model(str(folder)).load(CPU)


def test_the_stored_dtype_is_told(folder: Path, tiny_model: VidTwinModel) -> None:
    tiny_model.to(torch.bfloat16).save_pretrained(folder)
    assert find_model(str(folder)).dtypes() == "BF16"


# Fingerprint


def test_the_fingerprint_does_not_depend_on_how_weights_are_cut(
    folder: Path, tiny_model: VidTwinModel, tmp_path: Path
) -> None:
    tiny_model.save_pretrained(tmp_path / "cut", max_shard_size="100KB")
    assert len(list((tmp_path / "cut").glob("model*.safetensors"))) > 1
    assert find_model(str(tmp_path / "cut")).sha256() == find_model(str(folder)).sha256()


def test_the_fingerprint_changes_with_a_weight(folder: Path, tiny_model: VidTwinModel) -> None:
    before = find_model(str(folder)).sha256()
    tiny_model.head.modulation.data[0, 0] += 1
    tiny_model.save_pretrained(folder)
    assert find_model(str(folder)).sha256() != before


@pytest.mark.parametrize(
    ("field", "value", "same"), [("qformer_layer_norm_eps", 1e-5, False), ("structure_mean", [0, 1], True)]
)
def test_the_fingerprint_changes_with_the_architecture_and_not_with_statistics(
    field: str, value: object, same: bool, folder: Path
) -> None:
    before = find_model(str(folder)).sha256()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: value}))
    assert (find_model(str(folder)).sha256() == before) is same


# Device and dtype


def test_a_device_that_is_not_there_is_refused() -> None:
    for name in ("tpu9", "cuda:99"):
        with pytest.raises(ValueError, match=f"got '{name}'"):
            choose_device(name)


def test_the_cpu_can_be_asked_for() -> None:
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(("fast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_only_where_the_processor_has_it(
    fast: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    assert choose_dtype("auto", CPU)[0] == dtype


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]
)
def test_auto_is_bfloat16_only_where_the_gpu_has_it(
    capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_dtype("auto", torch.device("cuda"))[0] == dtype


def test_a_dtype_asked_for_is_taken() -> None:
    assert choose_dtype("float16", CPU) == (torch.float16, "as asked")


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'int8'"):
        choose_dtype("int8", CPU)


# New folders


def test_a_new_folder_appears_when_the_work_is_done(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b") as partial:
        (partial / "file").touch()
        assert not (tmp_path / "a" / "b").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b" / "file").exists()


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as partial:
        (partial / "file").touch()
    assert (tmp_path / "a" / "file").exists()


def test_a_folder_with_files_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError), new_folder(tmp_path):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_the_meta_device_computes_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match="it computes nothing"):
        choose_device("meta")


def test_a_new_folder_has_the_rights_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with new_folder(tmp_path / "new"):
        pass
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_fingerprint_is_of_what_the_model_computes_alone(folder: Path) -> None:
    before = find_model(str(folder)).sha256()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vidtwin_version": "9.9.9"}))
    assert find_model(str(folder)).sha256() == before
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 1}))
    assert find_model(str(folder)).sha256() != before


def test_only_what_a_model_needs_is_fetched_of_a_repository(hub, folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    foreign = {
        "training_args.bin": b"",
        "junk.json": b"{}",
        "checkpoint-1/video_preprocessor_config.json": b"",
    }
    hub.put("me/mine", files | foreign)
    fetched = {path.relative_to(found) for found in [find_model("me/mine").path] for path in found.rglob("*")}
    assert "config.json" in {str(path) for path in fetched}
    assert not {str(path) for path in fetched} & set(foreign)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[1]", "is no index of weights"),
        ('{"weight_map": {"a": 3}}', "is no index of weights"),
        ('{"weight_map": {"a": "../elsewhere.safetensors"}}', "names ../elsewhere.safetensors, which is no"),
        ('{"weight_map": {"a": "model-00002-of-00002.safetensors"}}', "model-00002-of-00002.safetensors"),
    ],
)
def test_an_index_of_weights_that_are_not_there_is_refused(folder: Path, index: str, message: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=message):
        find_model(str(folder)).load(torch.device("cpu"))
