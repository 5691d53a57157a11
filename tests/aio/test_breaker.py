"""After five failures in a row nothing is tried for a while; then by one at a time, until it works."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.aio.breaker import Attempt, Breaker


def begun(breaker: Breaker, now: float) -> Attempt:
    attempt = breaker.begin(now)
    assert attempt is not None
    return attempt


def is_open(breaker: Breaker) -> bool:
    return breaker.open


def fail(breaker: Breaker, *times: float) -> None:
    for now in times:
        breaker.failed(begun(breaker, now), now)


def opened(at: float = 4.0) -> Breaker:
    breaker = Breaker(failures=5, within=30.0, pause=10.0)
    fail(breaker, *(at + offset for offset in range(-4, 1)))
    return breaker


def test_five_failures_in_30_s_open_it_for_10_s() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1, 2, 3)
    assert not is_open(breaker)
    fail(breaker, 30)
    assert is_open(breaker)
    assert breaker.begin(30) is None
    assert breaker.begin(39.9) is None
    assert breaker.begin(40) is not None


def test_five_failures_in_more_than_30_s_do_not() -> None:
    breaker = Breaker()
    fail(breaker, *range(0, 800, 8))
    assert not is_open(breaker)


def test_failures_that_lie_too_far_back_count_no_more() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1, 2, 3, 31, 32, 33)
    assert not is_open(breaker)
    fail(breaker, 33.5)
    assert not is_open(breaker)
    fail(breaker, 34)
    assert is_open(breaker)


def test_failures_of_opens_that_began_together_open_it() -> None:
    breaker = Breaker()
    together = [begun(breaker, 0) for _ in range(20)]
    for attempt in together:
        breaker.failed(attempt, 2.5)
    assert is_open(breaker)
    assert breaker.begin(12.4) is None
    assert breaker.begin(12.5) is not None


def test_one_that_works_among_them_begins_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(10):
        fail(breaker, 0, 0, 0, 0)
        breaker.worked(begun(breaker, 0))
    assert not is_open(breaker)


def test_one_that_is_given_up_counts_as_nothing() -> None:
    breaker = Breaker()
    fail(breaker, 0, 1)
    breaker.gave_up(begun(breaker, 2))
    fail(breaker, 3, 4)
    assert not is_open(breaker)
    fail(breaker, 5)
    assert is_open(breaker)


def test_after_the_pause_one_at_a_time_tries() -> None:
    breaker = opened()
    probe = begun(breaker, 14)
    assert [breaker.begin(now) for now in (14, 20, 1e6)] == [None] * 3
    breaker.worked(probe)
    assert not is_open(breaker)
    assert all(breaker.begin(14) is not None for _ in range(10))


def test_a_probe_that_fails_begins_another_pause() -> None:
    breaker = opened()
    breaker.failed(begun(breaker, 20), 22)
    assert is_open(breaker)
    assert breaker.begin(31.9) is None
    breaker.failed(begun(breaker, 32), 33)
    assert breaker.begin(42.9) is None
    assert breaker.begin(43) is not None


def test_a_probe_that_is_given_up_is_anothers_at_once() -> None:
    breaker = opened()
    breaker.gave_up(begun(breaker, 14))
    assert is_open(breaker)
    probe = begun(breaker, 14)
    assert breaker.begin(14) is None
    breaker.worked(probe)
    assert not is_open(breaker)


def test_after_it_closed_it_takes_five_failures_again() -> None:
    breaker = opened()
    breaker.worked(begun(breaker, 14))
    fail(breaker, 15, 15, 15, 15)
    assert not is_open(breaker)
    fail(breaker, 15)
    assert is_open(breaker)


@pytest.mark.parametrize("report", ["worked", "failed", "gave_up"])
def test_what_began_before_it_opened_changes_nothing_later(report: str) -> None:
    breaker = Breaker()
    late = [begun(breaker, 0) for _ in range(3)]

    def told(now: float) -> None:
        attempt = late.pop()
        if report == "failed":
            breaker.failed(attempt, now)
        else:
            getattr(breaker, report)(attempt)

    fail(breaker, 0, 0, 0, 0, 0)
    told(9)
    assert breaker.begin(9.9) is None
    probe = begun(breaker, 10)  # a late failure does not make the pause longer
    told(11)
    assert is_open(breaker)
    assert breaker.begin(100) is None  # and nothing late lets a second one try
    breaker.worked(probe)
    fail(breaker, 101, 101, 101, 101)
    told(102)
    assert not is_open(breaker)
    fail(breaker, 103)
    assert is_open(breaker)


def test_only_the_first_report_of_an_attempt_counts() -> None:
    breaker = Breaker()
    attempt = begun(breaker, 0)
    for _ in range(10):
        breaker.failed(attempt, 0)
    assert not is_open(breaker)
    breaker = opened()
    probe = begun(breaker, 14)
    breaker.gave_up(probe)
    breaker.worked(probe)
    breaker.failed(probe, 14)
    assert is_open(breaker)
    another = begun(breaker, 14)
    breaker.gave_up(probe)
    assert breaker.begin(14) is None
    breaker.worked(another)
    breaker.gave_up(another)
    assert not is_open(breaker)


def test_a_limit_of_one_failure_opens_at_the_first() -> None:
    breaker = Breaker(failures=1, within=0.0, pause=1.0)
    fail(breaker, 5)
    assert breaker.begin(5.9) is None
    assert breaker.begin(6) is not None


class Plan:
    """What the breaker should do, told from the whole history of what counts."""

    def __init__(self, failures: int, within: float, pause: float) -> None:
        self.failures, self.within, self.pause = failures, within, pause
        self.outcomes: list[float | None] = []  # of this period: when it failed, None if it worked
        self.out: dict[int, bool] = {}  # attempts by number, and whether they are probes
        self.opened_at: float | None = None

    def may_begin(self, now: float) -> bool:
        return self.opened_at is None or (now >= self.opened_at + self.pause and True not in self.out.values())

    def report(self, number: int, outcome: str, now: float) -> None:
        probe = self.out.pop(number)
        if outcome == "gave_up":
            return
        if outcome == "worked":
            self.outcomes.append(None)
            if probe:
                self.start_period(None)
            return
        self.outcomes.append(now)
        last = self.outcomes[-self.failures :]
        times = [at for at in last if at is not None]
        if probe:
            self.opened_at = now
        elif len(times) == self.failures and times[-1] - times[0] <= self.within:
            self.start_period(now)

    def start_period(self, opened_at: float | None) -> None:
        self.opened_at = opened_at
        self.outcomes.clear()
        self.out.clear()  # those say nothing any more


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "worked", "failed", "failed", "failed", "gave_up"]), st.integers(0, 9)
    ),
    max_size=120,
)


@given(STEPS, st.integers(1, 4), st.integers(0, 20), st.integers(0, 10))
def test_any_order_of_tries_and_reports(steps: list[tuple[str, int]], failures: int, within: int, pause: int) -> None:
    """A step's number is how much time passes, and which attempt is reported: also one that was before."""
    breaker, plan = Breaker(failures, within, pause), Plan(failures, within, pause)
    attempts: list[Attempt] = []
    now = 0.0
    for step, number in steps:
        now += number / 3
        if step == "begin":
            attempt = breaker.begin(now)
            assert (attempt is not None) is plan.may_begin(now)
            if attempt is not None:
                plan.out[len(attempts)] = plan.opened_at is not None
                attempts.append(attempt)
        elif attempts:
            which = -1 - number % len(attempts)
            if step == "failed":
                breaker.failed(attempts[which], now)
            else:
                getattr(breaker, step)(attempts[which])
            if len(attempts) + which in plan.out:
                plan.report(len(attempts) + which, step, now)
        assert is_open(breaker) is (plan.opened_at is not None)
        assert list(plan.out.values()).count(True) <= 1


@given(st.lists(st.sampled_from(["worked", "failed", "gave_up"]), max_size=50))
def test_whatever_happened_it_closes_once_the_thing_works(outcomes: list[str]) -> None:
    breaker, now = Breaker(), 0.0
    for outcome in outcomes:
        now += 1
        attempt = breaker.begin(now)
        if attempt is not None:
            if outcome == "failed":
                breaker.failed(attempt, now)
            else:
                getattr(breaker, outcome)(attempt)
    now += 10
    breaker.worked(begun(breaker, now))
    assert not is_open(breaker)
    assert begun(breaker, now) is not begun(breaker, now)
