"""Makes, judges, promotes models: their life from labelled texts to the registry's `champion`.

A stage is a plain function in a module of its own, with a command of its name:

`ingest` → `preprocess` → `train` → `evaluate` → `release` → `register` → `promote`, `rollback`

Beneath them: `trainer.sources` fetches and reads texts, `trainer.judging` measures models, and
`trainer.promotion` stands before `champion`. What kinds of models there are is in
`trainer.candidates`, every knob in `trainer.params`, where files go in `trainer.layout`.
"""
