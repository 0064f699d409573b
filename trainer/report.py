"""What can be turned in training, and what training found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Params:
    """What can be turned; see `sentiment.model.build`."""

    min_df: tuple[int, ...] = (2, 3, 3)
    alpha: float = 1.0
    C: float = 30.0


@dataclass(frozen=True)
class Report:
    """What training found.

    Attributes:
        data: Name of the data's file.
        data_sha256: Its checksum.
        texts: Number of texts.
        groups: Number of groups that they fall into.
        params: The parameters.
        features: Number of n-grams of the final model, by their length from 1 on.
        folds: Accuracy on each fold that was held out.
        figures: Over all held-out texts: accuracy, precision, recall, f1, roc_auc, log_loss and
            calibration_error.
        directory: Where the model was saved.
    """

    data: str
    data_sha256: str
    texts: int
    groups: int
    params: Params
    features: list[int]
    folds: list[float]
    figures: dict[str, float]
    directory: str
