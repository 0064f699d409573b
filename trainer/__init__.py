"""Makes, judges, promotes models: their life from labelled texts to the registry's `champion`.

A stage is a plain function in a module of its own, with a command of its name.

- `params`: every knob
- `layout`: where files go, and which commit made them
- `sources`: fetches and reads texts
- `ingest`: labelled texts into one table
- `preprocess`: cleaned, and split by group
- `champion`: the candidate that is served, and what a candidate is
- `baseline`: the earlier system, to compare with
- `train`: fits a candidate
- `judging`: measures models
- `evaluate`: judges candidates, and compares them
- `release`: the model that workers get, with all that is known of it
- `card`: its model card
- `register`: into the registry
- `promotion`: what stands before `champion`
- `promote`: to champion or challenger, and back
- `commands`: the subcommands
- `tables`: tables and files, written whole or not at all
- `saving`: models as MLflow saves them
- `report`: what stages tell each other
- `pipeline`: all stages, without DVC
- `progress`: long work, a line at a time
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
