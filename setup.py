"""Packaging: the rooms at the top of the repository become subpackages of one import package, `vidtwin`."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
ROOMS = ("configuration", "modeling_vidtwin", "metrics", "hub_cards", "training", "evaluation")
PACKAGE_DIR = {"vidtwin": "vidtwin", **{f"vidtwin.{room}": room for room in ROOMS}}

PACKAGE_DATA = {
    "vidtwin": ["py.typed"],
    "vidtwin.modeling_vidtwin": ["bundled/*", "bundled/*/*"],
    "vidtwin.training": ["recipes/*.yaml"],
    "vidtwin.metrics": ["*/*.py", "*/README.md"],
    "vidtwin.hub_cards": ["*.md", "templates/*"],
    "vidtwin.evaluation": ["templates/*.html"],
}

INSTALL_REQUIRES = [
    "torch>=2.11",
    "torchvision",
    "transformers>=5.17,<6",
    "huggingface_hub>=1.31,<3",
    "safetensors",
    "datasets>=5.1",  # older ones do not resume a stream exactly
    "evaluate",
    "lpips",
    "piq",
    "einops",
    "av",
    "numpy",
    "pillow",
    "scipy",
    "tqdm",
    "typer",
    "pyyaml",
    "accelerate",
]

EXTRAS_REQUIRE = {
    "peers": ["diffusers"],
    "dev": [
        "build",
        "diffusers",
        "matplotlib",
        "mypy",
        "parameterized",
        "pre-commit",
        "psutil",
        "pytest",
        "pytest-xdist",
        "ruff",
        "selenium",
        "tensorboard",
        "types-PyYAML",
        "types-tqdm",
    ],
}

CLASSIFIERS = [
    "Development Status :: 3 - Alpha",
    "Intended Audience :: Science/Research",
    "Operating System :: OS Independent",
    "Programming Language :: Python :: 3",
    "Topic :: Multimedia :: Video",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Typing :: Typed",
]


def version() -> str:
    """The version written in `vidtwin/__init__.py`, read without importing it."""
    for line in (ROOT / "vidtwin" / "__init__.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("__version__ = "):
            return line.split('"')[1]
    raise ValueError('vidtwin/__init__.py must have a line __version__ = "X.Y.Z"; found none.')


def packages() -> list[str]:
    """Every import package, nested ones too, by the name it has once installed."""
    nested = [f"{name}.{inner}" for name, folder in PACKAGE_DIR.items() for inner in find_packages(folder)]
    return [*PACKAGE_DIR, *nested]


if __name__ == "__main__":
    setup(
        name="vidtwin",
        version=version(),
        description="VidTwin: a video autoencoder with decoupled structure and dynamics latents.",
        long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        license_files=["LICENSE", "NOTICE"],
        classifiers=CLASSIFIERS,
        packages=packages(),
        package_dir=PACKAGE_DIR,
        package_data=PACKAGE_DATA,
        include_package_data=False,
        python_requires=">=3.10",
        install_requires=INSTALL_REQUIRES,
        extras_require=EXTRAS_REQUIRE,
        entry_points={"console_scripts": ["vidtwin=vidtwin.cli:main"]},
    )
