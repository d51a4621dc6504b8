"""Look for bytes for which a target fails: `python fuzz.py TARGET FOLDER... [-OPTION...]`.

New inputs go to the first folder; the options are those of libFuzzer.
"""

import runpy
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bertpipe"], enable_loader_override=False):
    TARGETS = runpy.run_path(str(Path(__file__).with_name("targets.py")))["TARGETS"]

if __name__ == "__main__":
    program, target, *arguments = sys.argv
    atheris.Setup([program, *arguments], TARGETS[target])
    atheris.Fuzz()
