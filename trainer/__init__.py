"""Trains, evaluates and promotes models: from labelled texts to the registry's `champion`.

A stage is a plain function in a module of its own, with a command of its name.

- `params`: all parameters, read from `params.yaml`
- `tables`: the files that stages exchange, written whole or not at all
- `reports`: progress lines, report files, and tables for people
- `ingest`: labelled texts into one table
- `remote`: files from the web and S3
- `readers`: from rows of files to labelled texts
- `preprocess`: cleaned, and split by group
- `train`: fits a candidate, and saves it as MLflow does
- `champion`: the candidate that is served
- `baseline`: the earlier system, to compare with
- `judging`: measures models
- `evaluate`: judges candidates, and compares them
- `release`: the model that workers get, with its card
- `gates`: the checks before a promotion
- `promote`: to champion and back, and the audit trail
- `register`: into the registry
- `commands`: the subcommands
- `pipeline`: all stages, without DVC
"""

from sentiment.apps import App, Right

APP = App(
    commands={
        "evaluate": "trainer.commands.stages:evaluate",
        "feedback": "trainer.commands.feedback:feedback",
        "ingest": "trainer.commands.stages:ingest",
        "models": "trainer.commands.models:models",
        "preprocess": "trainer.commands.stages:preprocess",
        "promote": "trainer.commands.models:promote",
        "register": "trainer.commands.models:register",
        "release": "trainer.commands.stages:release",
        "rollback": "trainer.commands.models:rollback",
        "train": "trainer.commands.stages:train",
    },
    rights=(Right("feedback", "READ", "topic", "TOPICS_FEEDBACK"),),
)
