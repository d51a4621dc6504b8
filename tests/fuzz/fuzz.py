"""Look for bytes for which a target fails: `python fuzz.py TARGET FOLDER... [-OPTION...]`.

New inputs go to the first folder; the options are those of libFuzzer.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bertpipe"], enable_loader_override=False):
    sys.path.insert(0, str(Path(__file__).parent))
    from targets import TARGETS

if __name__ == "__main__":
    program, target, *arguments = sys.argv
    atheris.Setup([program, *arguments], TARGETS[target])
    atheris.Fuzz()
