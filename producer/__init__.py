"""Put text events on the topic: a small library, and the `sentiment produce` command.

```python
from producer import EventProducer

with EventProducer() as events:
    events.send("I loved every minute of it.", key="customer-17")
```
"""

from producer.client import EventProducer

__all__ = ["EventProducer"]
