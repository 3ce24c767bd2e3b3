"""Recipes of training: options that go together, by name. Loads no Keras: command lines read it."""

from collections.abc import Mapping
from typing import Any

PAPER = "paper"
# What a recipe does not name has the default of TrainOptions, and what the command line names has the last word.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    # Herbert's, of which batch normalisation is the variant that --batchnorm adds.
    PAPER: {},
    # Chosen among the variants of docs/recipes.md, which has what it gains.
    "tuned": {
        "batchnorm": True,
        "standardize": "per_band",
        "learning_rate": 3e-4,
        "learning_rate_warmup": 100,
        "learning_rate_decay": "cosine",
        "mixup": 0.3,
        "random_crop": 16,
    },
}
