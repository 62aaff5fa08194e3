"""REST: what was refused is left alone for a while, which doubles.

An upstream that was not reached rests, and so does a person whom it did not let in: nothing is
tried, and when the rest is over a single connection is.
"""

from dataclasses import dataclass

from relay.deliver.connect import ConnectError
from relay.upstream import Timeouts


@dataclass(slots=True)
class Rest:
    """The rest of one upstream, or of one person there."""

    timeouts: Timeouts
    error: ConnectError | None = None
    """Why; None: there is nothing to rest from."""
    until_s: float = 0.0
    times: int = 0

    def begin(self, error: ConnectError, now_s: float) -> None:
        """Leave it alone from now on; whoever fails within a rest makes it no longer."""
        if self.error is None or now_s >= self.until_s:
            rest_s = self.timeouts.first_rest_s * 2.0 ** min(self.times, 30)
            self.until_s = now_s + min(rest_s, self.timeouts.last_rest_s)
            self.times += 1
        self.error = error

    def end(self) -> None:
        """Forget what was refused."""
        self.error, self.times = None, 0

    def why_not(self, now_s: float, *, trying: bool) -> ConnectError | None:
        """Return why it may not be tried now; `trying`: somebody tries whether the rest is over."""
        return self.error if trying or now_s < self.until_s else None

    def is_stale(self, now_s: float) -> bool:
        """Tell whether it was over so long ago that it is of no use."""
        return now_s >= self.until_s + self.timeouts.last_rest_s
