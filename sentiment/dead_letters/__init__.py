"""Dead letters: reading, selecting, showing and redriving them; for commands and operators' page.

- `dead_letter`: a dead letter, which ones are meant, and which have been redriven
- `scan`: one pass over those that stand on the topic now, or one of them where it stands
- `show`: what is in them, as text that does nothing and as JSON
- `redrive`: back onto the events topic, each batch in one transaction with its marks
- `command`: `sentiment dlq list`, `show` and `redrive`
"""
