// Puts the parts of the page together.
import * as batch from "./batch.js";
import * as feed from "./feed.js";
import * as filters from "./filters.js";
import * as live from "./live.js";
import { textOf } from "./own.js";
import * as overview from "./overview.js";
import * as compose from "./try.js";

compose.start();
feed.start();
batch.start();
overview.start();
filters.start((anew) => {
  feed.refresh();
  feed.tellPause();
  if (anew) live.open();
});
live.start({
  results(results) {
    feed.add(results);
    for (const result of results) compose.late(result, textOf(result));
  },
  status: overview.status,
  lost: overview.lost,
});
