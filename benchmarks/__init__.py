"""Speed and memory, measured side by side: each module runs with ``python -m benchmarks.NAME``."""
