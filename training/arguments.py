"""VidTwinTrainingArguments: transformers' TrainingArguments and the few numbers VidTwin adds."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import TrainingArguments


@dataclass
class VidTwinTrainingArguments(TrainingArguments):
    """How to train a VidTwin. Raises ValueError for a missing `max_steps` or a negative weight."""

    kl_weight: float = field(default=0.001, metadata={"help": "Weight of the KL term (released: 0.001)."})
    sample_posterior: bool = field(
        default=True,
        metadata={"help": "Decode a sample of the posterior (True) or its mean (False) while training."},
    )
    report_to: str | list[str] | None = field(
        default="none", metadata={"help": "Where logs go besides the console."}
    )
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "A non-finite loss must be seen."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "The data set holds only clips."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_steps < 1:
            raise ValueError(
                f"max_steps must be given: the stream of clips has no end. Got {self.max_steps}."
            )
        if self.kl_weight < 0:
            raise ValueError(f"kl_weight must be at least 0, got {self.kl_weight}.")
