"""What TensorBoard reads in a run directory, as JSON: python tensorboard_events.py DIRECTORY

"scalars", "histograms" and "texts" are as its EventAccumulator has them, by name; a text is what a
browser would show. "page" has the steps of every name as its page's (Python) reader has them: that one
forgets by other rules what a resumed run overwrites.
"""

import html.parser
import json
import logging
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.plugins.text import text_plugin
from tensorboard.util import tensor_util


class Shown(html.parser.HTMLParser):
    """Tags and text of an HTML snippet."""

    def __init__(self, snippet):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(snippet)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def shown(tensor):
    """What the text page shows of a tensor."""
    snippet = Shown(text_plugin.text_array_to_html(tensor_util.make_ndarray(tensor), True))
    assert snippet.tags == ["pre", "code"], snippet.tags
    return snippet.text


def histogram(value):
    return {
        "min": value.min,
        "max": value.max,
        "num": value.num,
        "sum": value.sum,
        "sum_squares": value.sum_squares,
        "bucket_limit": value.bucket_limit,
        "bucket": value.bucket,
    }


def main(directory):
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of what it forgets
    everything = {key: 0 for key in event_accumulator.DEFAULT_SIZE_GUIDANCE}
    seen = event_accumulator.EventAccumulator(directory, everything).Reload()
    page = plugin_event_accumulator.EventAccumulator(directory, everything).Reload()
    tags, tensors = seen.Tags(), page.Tags()["tensors"]
    texts = seen.PluginTagToContent("text") if tags["tensors"] else []
    result = {
        "scalars": {tag: [[e.step, e.value] for e in seen.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {
            tag: [[e.step, histogram(e.histogram_value)] for e in seen.Histograms(tag)]
            for tag in tags["histograms"]
        },
        "texts": {tag: [[e.step, shown(e.tensor_proto)] for e in page.Tensors(tag)] for tag in texts},
        "page": {tag: [e.step for e in page.Tensors(tag)] for tag in tensors},
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
