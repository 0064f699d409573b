"""Dead letters: reading, selecting and redriving them; for the commands and the operators' page.

- `letters`: a dead letter, read from its record
- `selection`: which of them are meant
- `marks`: which of them have been redriven
- `scan`: one pass over those that stand on the topic now
- `look`: one of them, read where it stands
- `sending`: dead letters back onto the events topic, each batch in one transaction with its marks
- `redriving`: one run over the selected ones
- `describing`: what is in them, as text that does nothing and as JSON
"""
