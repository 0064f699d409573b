"""Where the stages leave what they make, below the folder that they run in; dvc.yaml says the same.

```
data/raw/           texts.parquet  rejected.jsonl  report.json        ingest
data/cache/         remote files; may be deleted at any time          ingest
data/prepared/      train.parquet  test.parquet  report.json          preprocess
models/NAME/        MLmodel  model.skops  …                           train
evaluation/NAME/    see trainer.report                                evaluate
models/release/     the same as models/NAME/, and                     release
                    MODEL_CARD.md  drift.json  evaluation/
```
"""

from pathlib import Path

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
MODELS = Path("models")
RELEASE = MODELS / "release"
EVALUATION = Path("evaluation")

# Files in them that more than one stage knows.
TEXTS = "texts.parquet"
TRAIN, TEST = "train.parquet", "test.parquet"
# What a stage tells of its work, in the folder of its files.
REPORT = "report.json"
CARD = "MODEL_CARD.md"
IMAGES = "images"
