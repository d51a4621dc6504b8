"""Print what a run of `--components ner,sentiment` left: python scripts/show.py OUT."""

import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

N_ROWS = 4
WIDTH = 96


def main(output: Path) -> None:
    """Print some rows of an output folder, and every row in error."""
    rows = ds.dataset(sorted(output.glob("*.parquet"))).to_table().to_pylist()
    broken = [row for row in rows if row["_error"]]
    whole = [row for row in rows if row["ner"] and row["sentiment"]]
    print(f"\n{len(rows)} rows in {output}. Some of them:")
    for row in whole[:: max(1, len(whole) // N_ROWS)][:N_ROWS]:
        print(f"\n  {place(row)}\n    {shorten(row['text'])}\n    {summary(row)}")
    print(f"\nThe {len(broken)} rows in error:\n")
    for row in broken:
        what = row["_error"]["message"].removeprefix(row["_source"]["path"])
        print(f"  {place(row)}{what}")


def place(row: dict[str, Any]) -> str:
    """Return `file, record n` of a row."""
    return f"{Path(row['_source']['path']).name}, record {row['_source']['row']}"


def shorten(text: str) -> str:
    """Return the text as one line that fits a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def summary(row: dict[str, Any]) -> str:
    """Return the sentiment and the entities of a row."""
    found = dict.fromkeys(f"{entity['text']} ({entity['label']})" for entity in row["ner"])
    return shorten(f"{row['sentiment']['label']}: {', '.join(found)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
