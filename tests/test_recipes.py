"""Recipes are read whole, overridden by name, and every unknown name is an error."""

import pytest

from vidtwin.configuration.presets import vidtwin_config
from vidtwin.training.arguments import VidTwinTrainingArguments
from vidtwin.training.recipes import load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_bundled_recipe_is_one_that_can_be_trained(name, tmp_path):
    recipe = load_recipe(name, ["from_pretrained=demo"] if name == "finetune" else [])
    options = {**recipe.training, "bf16": False, "use_cpu": True}
    assert VidTwinTrainingArguments(output_dir=str(tmp_path), **options).max_steps > 0
    vidtwin_config(recipe.scale, recipe.latent_size, **recipe.model)


def test_fine_tuning_wants_weights_by_name():
    with pytest.raises(ValueError, match="finetune goes on from trained weights: --set from_pretrained"):
        load_recipe("finetune")


@pytest.mark.parametrize("override", ["scale=small", "hidden_size=64"])
def test_weights_decide_the_architecture_alone(override):
    with pytest.raises(ValueError, match="must be empty with from_pretrained"):
        load_recipe("finetune", ["from_pretrained=demo", override])


def test_an_override_without_a_section_goes_where_the_field_lives():
    recipe = load_recipe("smoke", ["max_steps=3", "hidden_size=64", "data.fps=[25]", "seed=5"])
    assert recipe.training["max_steps"] == 3
    assert recipe.model["hidden_size"] == 64
    assert recipe.data["fps"] == [25]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("max_step=3", "Did you mean 'max_steps'"),
        ("training.learning_rat=1", "Did you mean 'learning_rate'"),
        ("dat.fps=[8]", "Did you mean 'data'"),
        ("max_steps", "key=value"),
    ],
)
def test_an_unknown_override_names_the_nearest(override, reason):
    with pytest.raises(ValueError, match=reason):
        load_recipe("smoke", [override])


def test_an_unknown_recipe_lists_the_known(tmp_path):
    with pytest.raises(ValueError, match="demo, demo_gan, finetune"):
        load_recipe(str(tmp_path / "nothing.yaml"))


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "broken.yaml").write_text("model: [1, 2")
    with pytest.raises(ValueError, match="broken.yaml is not YAML"):
        load_recipe(str(tmp_path / "broken.yaml"))
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ValueError, match="must hold the sections"):
        load_recipe(str(tmp_path / "list.yaml"))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning_rate=1e-4", 1e-4),
        ("learning_rate=-2.5E+3", -2500.0),
        ("learning_rate=.5", 0.5),
        ("save_strategy=no", "no"),
        ("bf16=True", True),
        ("output_dir=1.2.3", "1.2.3"),
    ],
)
def test_values_are_read_as_people_write_them(override, value):
    assert load_recipe("smoke", [override]).training[override.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("learning_rate=[1", "--set learning_rate is not YAML"),
        ("data=3", "data must hold names and values, got 3"),
        ("max_steps=many", "training.max_steps must be a number, got 'many'"),
        ("sample_posterior=1", "training.sample_posterior must be true or false, got 1"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(override, reason):
    with pytest.raises(ValueError, match=reason):
        load_recipe("smoke", [override])
