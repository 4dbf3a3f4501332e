"""The modelling code as flat files in a model's folder, for `trust_remote_code=True` without this package.

transformers fetches the files that auto_map names and what they import from `.sibling`; so the modules of two
rooms are written side by side, and their imports of each other become imports of siblings.
"""

import os
import re
from pathlib import Path

# What may be written, with the room of each: these import nothing that a user of transformers may not have.
PORTABLE = {
    "configuration_vidtwin": "configuration",
    "remote_code": "configuration",
    "latents_vidtwin": "modeling_vidtwin",
    "modeling_vidtwin": "modeling_vidtwin",
    "transformer_vidtwin": "modeling_vidtwin",
    "video_io": "modeling_vidtwin",
    "video_processing_vidtwin": "modeling_vidtwin",
    "whole_files": "modeling_vidtwin",
}
_RELATIVE = re.compile(r"^(\s*from\s+)\.+([\w.]+)(\s+import\b)", re.MULTILINE)


def write_remote_code(folder: str | os.PathLike[str], auto_map: dict[str, str]) -> bool:
    """Writes the modules that `auto_map` names, and all they import, to `folder`, which may be new.

    auto_map: transformers', such as {"AutoModel": "modeling_vidtwin.VidTwinModel"}. False, and nothing
    written, where a source is not at hand: of a configuration alone transformers fetched only its own file.
    """
    sources: dict[str, str] = {}
    wanted = [name.partition(".")[0] for name in auto_map.values()]
    while wanted:
        module = wanted.pop()
        if module in sources:
            continue
        file = _source(module)
        if file is None:
            return False
        sources[module] = _RELATIVE.sub(_flat, file.read_text(encoding="utf-8"))
        wanted += [found[1].lstrip(".") for found in _RELATIVE.findall(sources[module])]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for module, text in sources.items():
        (Path(folder) / f"{module}.py").write_text(text, encoding="utf-8")
    return True


def known_here(folder: str | os.PathLike[str], auto_map: dict[str, str]) -> dict[str, str]:
    """The entries that a folder of a class from the Hub can keep: of modules that lie in it, of other
    repositories ("org/name--module.Class"), and the configuration's own, which is written last."""
    present = {path.stem for path in Path(folder).glob("*.py")}
    return {
        name: target
        for name, target in auto_map.items()
        if name == "AutoConfig" or "--" in target or target.partition(".")[0] in present
    }


def without_code(timestamps: dict[str, float]) -> dict[str, float]:
    """transformers uploads what is newer than these: so that code written just before goes up too."""
    return {name: time for name, time in timestamps.items() if not name.endswith(".py")}


def _source(module: str) -> Path | None:
    """Its file: in its room, or beside this one where the code is flat already."""
    here = Path(__file__).parent
    places = (here / f"{module}.py", here.parent / PORTABLE[module] / f"{module}.py")
    return next((place for place in places if place.is_file()), None)


def _flat(found: re.Match) -> str:
    target = found[2].rpartition(".")[2]
    if target not in PORTABLE:
        raise ValueError(f"{found[0].strip()} cannot be written beside a model: {target} is not portable.")
    return f"{found[1]}.{target}{found[3]}"
