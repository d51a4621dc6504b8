"""An annotator that needs no model and can be told to fail."""

import os
import re
import signal
import time

import pyarrow as pa

from bertpipe.records import NER_TYPE


class Numbers:
    """Finds a pattern. `seconds` are slept.

    The word POISON raises, FLAKY does so while that variable is set, SUICIDE ends the process
    (as a pattern, before it is ready), CUDA fails as a lost device does, then and ever after.
    """

    type = NER_TYPE
    reads = ("text",)

    def __init__(self, name, pattern, seconds):
        if pattern == "SUICIDE":
            os.kill(os.getpid(), signal.SIGKILL)
        self.name = name
        self.pattern = re.compile(pattern)
        self.seconds = seconds
        self.has_device = True

    def annotate(self, batch):
        time.sleep(self.seconds)
        return pa.array([self._find(text) for text in batch["text"].to_pylist()], self.type)

    def set_annotations(self, doc, annotation):
        doc.user_data[self.name] = annotation

    def __call__(self, doc):
        self.set_annotations(doc, self._find(doc.text))
        return doc

    def _find(self, text):
        if "POISON" in text:
            raise ValueError("the text is poison")
        if "FLAKY" in text and "FLAKY" in os.environ:
            raise OSError("the connection was lost")
        self.has_device = self.has_device and "CUDA" not in text
        if not self.has_device:
            raise RuntimeError("CUDA error: device-side assert triggered")
        if "SUICIDE" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return [
            {
                "start": match.start(),
                "end": match.end(),
                "label": "NUMBER",
                "score": 1.0,
                "text": match.group(),
            }
            for match in self.pattern.finditer(text)
        ]
