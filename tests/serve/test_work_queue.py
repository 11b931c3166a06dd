"""The queue without a model: what runs waits for the test, and the clock is the test's."""

from threading import Event

import pytest

from allophone.serve.work_queue import CancelledError, Job, Piece, WorkQueue, WorkRate
from serve_live import wait_until


class Bench:
    """A queue of one worker whose pieces wait to be let go, in the order that they ran."""

    def __init__(self, **options) -> None:
        self.now, self.ran, self.batches, self.go = 0.0, [], [], Event()
        self.queue = WorkQueue(self.run, WorkRate(1.0, 1.0), clock=lambda: self.now, **options)

    def run(self, batch):
        self.batches.append(len(batch))
        self.ran += [payload for _, payload in batch]
        assert self.go.wait(30)
        if any(payload == "broken" for _, payload in batch):
            raise ValueError("broken")
        return [payload.upper() for _, payload in batch]

    def put(self, *payloads, **options) -> Job:
        job = Job(None, [Piece(payload, 1.0) for payload in payloads], **options)
        assert self.queue.put(job, max_wait_s=1e9) is None
        return job

    def finish(self, *jobs) -> None:
        self.go.set()
        wait_until(lambda: all(job.finished for job in jobs))


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.go.set()
    made.queue.close()


def blocked(bench: Bench) -> Job:
    job = bench.put("first")
    wait_until(lambda: bench.ran == ["first"])
    return job


def test_interactive_work_goes_before_bulk_and_each_class_in_its_order(bench):
    first = blocked(bench)
    jobs = [bench.put(name, bulk=name.startswith("b")) for name in ("b1", "i1", "b2", "i2")]
    bench.finish(first, *jobs)
    assert bench.ran == ["first", "i1", "i2", "b1", "b2"]
    assert [job.results[0] for job in jobs] == ["B1", "I1", "B2", "I2"]


def test_bulk_work_that_waited_too_long_goes_first(bench):
    first = blocked(bench)
    bulk = bench.put("b1", bulk=True)
    interactive = bench.put("i1")
    bench.now = 11.0  # the limit is 10
    bench.finish(first, bulk, interactive)
    assert bench.ran == ["first", "b1", "i1"]


def test_wait_is_what_is_ahead_of_a_class(bench):
    blocked(bench)  # 1 s by the rate
    bench.put("b1", "b2", bulk=True)
    bench.put("i1")
    assert bench.queue.wait_s(bulk=False) == pytest.approx(2.0)
    assert bench.queue.wait_s(bulk=True) == pytest.approx(4.0)
    bench.now = 0.5
    assert bench.queue.wait_s(bulk=True) == pytest.approx(3.5)
    state = bench.queue.state()
    assert (state.running, state.waiting, state.oldest_job_s, state.oldest_pass_s) == (1, 2, 0.5, 0.5)


def test_what_would_wait_or_last_too_long_is_not_taken(bench):
    blocked(bench)
    job = Job(None, [Piece("x", 3.0)])
    assert bench.queue.put(job, max_wait_s=0.25) == pytest.approx(0.75)
    assert bench.queue.put(job, max_wait_s=9.0, done_within_s=3.5) == pytest.approx(0.5)
    assert bench.queue.put(job, max_wait_s=1.0, done_within_s=4.0) is None


def test_a_cancelled_job_never_runs_on_and_the_next_does(bench):
    long = bench.put("first", "second", "third")
    wait_until(lambda: bench.ran == ["first"])
    bench.queue.cancel(long)
    with pytest.raises(CancelledError):
        long.check()
    after = bench.put("after")
    bench.finish(after)
    assert bench.ran == ["first", "after"]
    assert (long.results, after.results) == ({}, {0: "AFTER"})


def test_what_a_piece_raises_is_its_jobs_error_alone(bench):
    first = blocked(bench)
    broken, after = bench.put("broken", "never"), bench.put("after")
    bench.finish(first, broken, after)
    assert isinstance(broken.error, ValueError)
    assert "never" not in bench.ran
    assert (after.error, after.results) == (None, {0: "AFTER"})


def test_of_a_batch_that_fails_each_piece_runs_alone():
    bench = Bench(batch_size=4)
    first = blocked(bench)
    jobs = [bench.put(name) for name in ("a", "broken", "b")]
    bench.finish(first, *jobs)
    bench.queue.close()
    assert bench.batches == [1, 3, 1, 1, 1]
    assert [job.results for job in jobs] == [{0: "A"}, {}, {0: "B"}]


def test_the_others_wait_for_a_first_piece_that_tells_the_language():
    bench = Bench(workers=2)
    job = bench.put("one", "two", "three", first_alone=True)
    other = bench.put("other")
    wait_until(lambda: len(bench.ran) == 2)
    assert sorted(bench.ran) == ["one", "other"]
    bench.finish(job, other)
    bench.queue.close()
    assert job.results == {0: "ONE", 1: "TWO", 2: "THREE"}


def test_a_job_without_pieces_is_finished(bench):
    assert bench.put().finished


def test_a_client_whose_loop_has_ended_does_not_end_the_worker(bench):
    def gone():
        raise RuntimeError("Event loop is closed")

    lost, after = bench.put("lost", notify=gone), bench.put("after")
    bench.finish(lost, after)
    assert after.results == {0: "AFTER"}


def test_the_rate_follows_what_is_measured():
    rate = WorkRate(10.0, 1.0)
    assert rate.seconds(5.0) == pytest.approx(0.5)
    for _ in range(200):
        rate.observe(10.0, 4.0)
    assert rate.seconds(5.0) == pytest.approx(2.0, rel=1e-3)
