"""How many texts may go now: what the gateway takes a second, less while it is overrun.  Pure."""


class Bucket:
    """A token bucket, and a pause that doubles with each "slower" and ends with the first success.

    Times in seconds of any clock that only goes forward.
    """

    def __init__(self, per_s: float, burst: int, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._at_s = now_s
        self._paused_until_s = now_s
        self.pause_s = 0.0  # the last one

    def take(self, wanted: int, now_s: float) -> int:
        """Take so many tokens, or what there is."""
        if now_s < self._paused_until_s:
            return 0
        since_s = max(0.0, now_s - self._at_s)
        self._tokens = min(float(self._burst), self._tokens + since_s * self._per_s)
        self._at_s = now_s
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    def give_back(self, tokens: int) -> None:
        """What was taken and not needed."""
        self._tokens = min(float(self._burst), self._tokens + tokens)

    def slower(self, first_s: float, most_s: float, now_s: float) -> float:
        """The gateway is overrun: wait; for how long, in seconds."""
        if now_s >= self._paused_until_s:  # one for all that were on their way
            self.pause_s = min(most_s, self.pause_s * 2 if self.pause_s else first_s)
            self._paused_until_s = now_s + self.pause_s
        return self._paused_until_s - now_s

    def well(self) -> None:
        """The gateway took one."""
        self.pause_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Until there is a token again."""
        missing = max(0.0, 1.0 - self._tokens) / self._per_s
        return max(self._paused_until_s - now_s, missing - max(0.0, now_s - self._at_s), 0.0)
