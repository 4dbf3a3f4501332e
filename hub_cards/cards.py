"""Cards for the Hub, filled from a model's configuration and from the JSON that a measuring command wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from huggingface_hub import DatasetCardData, ModelCard, ModelCardData

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.summary import summarize

from .results import eval_results, quality_table, results_table

TEMPLATES = Path(__file__).parent / "templates"
NOT_MEASURED = "Not measured."
_NAMED = re.compile(r"^model_name: (.+)\n", re.MULTILINE)
_LOADED = re.compile(r'AutoModel\.from_pretrained\("([^"]+)", trust_remote_code=True')
_OURS = "library_name: vidtwin\n"
_HEADING = re.compile(r"##? ")


@dataclass(frozen=True)
class Story:
    """What a configuration cannot tell of a model, as Markdown: a sentence to begin with, how it was trained,
    what it cannot do, what was measured; the Hub's name of the licence, and a sentence on it."""

    summary: str
    training: str = "Not told."
    limits: str = ""
    results: str = NOT_MEASURED
    license: str = "other"
    license_text: str = "Whoever publishes these weights has not told their licence."


def model_card(repo: str, config: VidTwinConfig, story: Story, measured: dict[str, Any] | None = None) -> str:
    """A model's card as Markdown with its metadata.

    repo: the Hub id its examples load. measured: the summary of `vidtwin evaluate`, for the results and the
    model-index; the story's results else.
    """
    cost = summarize(config, decodes=not config.encoder_only)
    use = (TEMPLATES / ("use_encoder.md" if config.encoder_only else "use.md")).read_text(encoding="utf-8")
    text = (TEMPLATES / "model.md").read_text(encoding="utf-8")
    body = text.format(
        use=use.format(repo=repo, num_frames=config.num_frames),
        operations="encode" if config.encoder_only else "encode and decode",
        name=repo.rsplit("/", 1)[-1],
        summary=story.summary,
        training=story.training,
        limits=f"{story.limits} One resolution; clips of {config.num_frames} frames.".strip(),
        results=results_table(measured) if measured else story.results,
        license_text=story.license_text,
        num_frames=config.num_frames,
        image_size=config.image_size,
        structure_shape=config.structure_shape,
        dynamics_shape=config.dynamics_shape,
        num_latents=config.num_latents,
        rate=config.compression_rate,
        parameters=sum(cost.parameters.values()),
        gflop=(cost.encode_flops + (cost.decode_flops or 0)) / 1e9,
    )
    return f"---\n{_metadata(repo, story.license, measured).to_yaml()}\n---\n\n{body}"


def _metadata(repo: str, license: str, measured: dict[str, Any] | None) -> ModelCardData:
    return ModelCardData(
        license=license,
        library_name="vidtwin",
        pipeline_tag="video-to-video",
        tags=VidTwinModel.model_tags,
        model_name=repo.rsplit("/", 1)[-1],
        eval_results=eval_results(measured) if measured else None,
    )


def for_repository(text: str, repo: str) -> str:
    """A card that this package wrote, for another repository: its examples load `repo`, its heading is that
    name. A card by other hands stays as it is."""
    named, loaded = _NAMED.search(text), _LOADED.search(text)
    if not (named and loaded and _OURS in text):
        return text
    name = repo.rsplit("/", 1)[-1]
    text = text.replace(named[0], f"model_name: {name}\n", 1)
    text = text.replace(f"\n# {named[1]}\n", f"\n# {name}\n", 1)
    text = text.replace(f'from_pretrained("{loaded[1]}"', f'from_pretrained("{repo}"')
    return text.replace(f"--model {loaded[1]}\n", f"--model {repo}\n")


def with_results(text: str, measured: dict[str, Any]) -> str:
    """A card with the figures of `vidtwin evaluate` in its metadata, and in place of its section Results."""
    card = ModelCard(text.replace("\r\n", "\n"))
    data = cast(ModelCardData, card.data)
    data.library_name = data.library_name or "vidtwin"
    data.pipeline_tag = data.pipeline_tag or "video-to-video"
    data.model_name = data.model_name or measured["model"].rstrip("/").rsplit("/", 1)[-1]
    data.eval_results = eval_results(measured)
    before, after = _around_results(card.text)
    section = ["## Results", "", *results_table(measured).splitlines(), ""]
    return f"---\n{data.to_yaml()}\n---\n" + "\n".join([*before, *section, *after]).rstrip("\n") + "\n"


def _around_results(text: str) -> tuple[list[str], list[str]]:
    """The lines before and after the section Results; all before it where there is none."""
    lines, fenced = text.splitlines(), False
    headings = []
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        if not fenced and _HEADING.match(line):
            headings.append(number)
    starts = [number for number in headings if lines[number].strip() == "## Results"]
    if not starts:
        return [*lines, ""], []
    end = next((number for number in headings if number > starts[0]), len(lines))
    return lines[: starts[0]], lines[end:]


def story(kind: str, **facts: Any) -> Story:
    """What templates/stories.yaml tells of a kind of model, with these facts filled in."""
    told = yaml.safe_load((TEMPLATES / "stories.yaml").read_text(encoding="utf-8"))[kind]
    return Story(**{name: text.format(**facts) for name, text in told.items()})


def demo_story(facts: dict[str, Any], quality: dict[str, Any] | None) -> Story:
    """Of the bundled demo model. facts: dtype, clips (how many it was trained on), recipe, losses. quality:
    what `benchmarks.demo_quality` wrote."""
    return story("demo", **facts, results=quality_table(quality) if quality else NOT_MEASURED)


def trained_story(facts: dict[str, Any], results: dict[str, float]) -> Story:
    """Of a model that was just trained. facts: by the name to show, how. results: what was measured."""
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    measured = "\n".join(f"- {name}: {value:.4g}" for name, value in results.items())
    return story("trained", training=told, results=measured or NOT_MEASURED)


def released_story(source: str, config: VidTwinConfig) -> Story:
    """Of the authors' released checkpoint in this package's format. source: where it came from."""
    rate, channels = config.compression_rate, config.structure_channels
    return story("released", source=source, rate=rate, structure_channels=channels)


def dataset_card(repo: str, report: dict[str, Any]) -> str:
    """The card of shards as Markdown with its metadata. report: what `vidtwin shards` wrote."""
    settings = report["settings"]
    text = (TEMPLATES / "dataset.md").read_text(encoding="utf-8")
    body = text.format(
        name=repo.rsplit("/", 1)[-1],
        repo=repo,
        labels=", with labels" if report["labels"] else "",
        short_side=settings["short_side"],
        gop=settings["gop"],
        refused=len(report["refused"]),
        tars=len(report["tars"]),
        **{name: report[name] for name in ("videos", "clips", "seconds", "megabytes")},
    )
    data = DatasetCardData(license="other", tags=["video", "webdataset", "vidtwin"], pretty_name=repo)
    return f"---\n{data.to_yaml()}\n---\n\n{body}"
