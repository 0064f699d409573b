"""The dashboards of `observability/dashboards/`, as little Python and much JSON.

- `throughput`: the workers' dashboard; a new panel is one more entry
- `model`: the model's
- `page`: the page's
- `panel`: a panel as Grafana's JSON, and the few shapes that most expressions have
- `board`: rows and panels, held against the table of metrics
"""

import json

from observability.grafana import model, page, throughput
from observability.grafana.board import render


def files() -> dict[str, str]:
    """Each dashboard's file and what belongs into it."""
    boards = (throughput.BOARD, model.BOARD, page.BOARD)
    return {f"{board.name}.json": json.dumps(render(board), indent=2) + "\n" for board in boards}
