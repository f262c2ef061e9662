"""Stop between steps, not in the middle of one, when somebody asks."""

import signal
import threading


class StopFlag:
    """Turns SIGTERM and Ctrl-C into a flag that the loop reads; a second Ctrl-C interrupts at once.

    Example:
        >>> with StopFlag() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     stop.name
        'SIGTERM'
    """

    def __init__(self):
        self.number: int | None = None
        self._before: dict[int, object] = {}

    @property
    def name(self) -> str | None:
        """The signal that came, or None."""
        return None if self.number is None else signal.Signals(self.number).name

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._set)
        return self

    def __exit__(self, *_):
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _set(self, number: int, frame) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
