"""A training run in MLflow's tracking: what went in and what came out."""

from dataclasses import asdict
from pathlib import Path

from sentiment.tracking import connect, experiment_id
from trainer.report import Report

EXPERIMENT = "sentiment"

# Above a slow server's time for one request, below a person's patience.
TIMEOUT_S = 30.0


def log_run(report: Report) -> str:
    """Log a finished training to the server or store that `MLFLOW_TRACKING_URI` names.

    Returns:
        The run's id.

    Raises:
        RegistryUnavailableError: It doesn't answer.
    """
    with connect(TIMEOUT_S) as client:
        run = client.create_run(experiment_id(client, None, EXPERIMENT), run_name="train")
        run_id = str(run.info.run_id)
        for name, value in {**asdict(report.params), "data": report.data}.items():
            client.log_param(run_id, name, value)
        for name, figure in report.figures.items():
            client.log_metric(run_id, name, figure)
        for number, accuracy in enumerate(report.folds, start=1):
            client.log_metric(run_id, "fold_accuracy", accuracy, step=number)
        client.set_tag(run_id, "data_sha256", report.data_sha256)
        client.log_artifact(run_id, str(Path(report.directory) / "MODEL_CARD.md"))
        client.set_terminated(run_id)
    return run_id
