"""``train.py``, which says at its end how many of the files below its --out it opened for writing, moved or deleted."""

import os
import runpy
import sys
from pathlib import Path

TRAIN = Path(__file__).parent.parent.parent / "train.py"
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")


def main() -> None:
    """Run ``train.py`` with this command's arguments, and watch."""
    out, changed = os.path.abspath(sys.argv[sys.argv.index("--out") + 1]), set()

    def watch(event: str, values: tuple) -> None:
        writes = event in CHANGES
        if event == "open":
            mode, how = values[1], values[2]
            writes = bool(how & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if mode is None else mode.strip("rbt") != ""
        if writes and isinstance(values[0], str | os.PathLike):
            path = os.path.abspath(values[0])
            changed.update([path] if path.startswith(out) else [])

    sys.addaudithook(watch)
    sys.argv[0] = str(TRAIN)
    try:
        runpy.run_path(str(TRAIN), run_name="__main__")
    finally:
        print(f"changed {len(changed)} files: {sorted(changed)[:3]}", flush=True)


if __name__ == "__main__":
    main()
