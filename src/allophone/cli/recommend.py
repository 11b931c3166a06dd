"""``allophone recommend``: from a target to an operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.price import ApiPrice, PricePerHour, read_grouping, read_price
from allophone.cli.quantities import Quantity, check_positive, gigabytes, quantity
from allophone.cli.say import hint, say, say_prose, tell

if TYPE_CHECKING:
    from allophone.guarantee.certificate import CertifiedLimit

__all__ = ["recommend"]


def recommend(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    max_wer: Annotated[float | None, typer.Option(help="Largest word error rate, in percent.")] = None,
    max_cer: Annotated[float | None, typer.Option(help="Largest character error rate, in percent.")] = None,
    min_uar: Annotated[
        float | None, typer.Option(help="Of emotion runs: least unweighted average recall, in percent.")
    ] = None,
    max_rtf: Annotated[float | None, typer.Option(help="Largest processing time / audio time.")] = None,
    min_rtfx: Annotated[
        float | None,
        typer.Option(help="Least seconds of audio a second with many recordings at once; see sweep --throughput."),
    ] = None,
    max_latency_p95_s: Annotated[
        Quantity | None,
        quantity(
            "--max-latency-p95",
            "--max-latency-p95-s",
            help="Largest 95th percentile of latency: 0.3 (seconds), 300ms.",
        ),
    ] = None,
    max_gflops: Annotated[float | None, typer.Option(help="Most executed GFLOPs per utterance.")] = None,
    max_memory_gb: Annotated[
        Quantity | None,
        quantity(
            "--max-memory",
            "--max-memory-gb",
            read=gigabytes,
            help="Largest peak resident memory: 1.5 (GB, 1e9 bytes), 800MB, 2GiB.",
        ),
    ] = None,
    max_trainable_params: Annotated[
        float | None, typer.Option(help="Of emotion runs: most parameters that are trained.")
    ] = None,
    max_training_gflops: Annotated[
        float | None, typer.Option(help="Of emotion runs: most executed GFLOPs of one training.")
    ] = None,
    max_price: Annotated[
        float | None,
        typer.Option("--max-price-per-audio-hour", help="Most that an hour of audio may cost; see --price-per-hour."),
    ] = None,
    max_latency_p99_s: Annotated[
        Quantity | None,
        quantity("--max-latency-p99", help="Largest 99th percentile of latency: 500ms."),
    ] = None,
    min_perfect_share: Annotated[
        float | None, typer.Option(help="Least share of utterances without an error, in percent.")
    ] = None,
    max_p_worse: Annotated[
        float | None,
        typer.Option(help="Largest share of utterances with more errors than at the dearest point, in percent."),
    ] = None,
    worst_group: Annotated[
        str | None,
        typer.Option(help="speaker, snr or duration: --max-wer then limits the worst of these groups, not the mean."),
    ] = None,
    price_per_hour: PricePerHour = None,
    api_price: ApiPrice = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            help="wer, cer, error_share (one minus the perfect), p_worse, rtf, latency_p50_s, latency_p95_s, "
            "latency_p99_s, executed_gflops, peak_memory_bytes, rtf_throughput or price_per_audio_hour; "
            "of emotion runs uar_loss (one minus the UAR), trainable_params, training_gflops or train_s."
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Probability with which all limits must hold over speakers like these, the choice among all points "
            "included, e.g. 0.9; without it, as measured."
        ),
    ] = None,
    certify: Annotated[
        list[str] | None,
        typer.Option(
            help='A limit in percent that the point is certified to keep with --confidence (0.95), e.g. "wer<=12": '
            "on wer, wer_capped, wer_clipped (which count fewer of an utterance's errors) or error_share; repeatable."
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Say whether the certificate in this point file held on RUN, and end.")
    ] = None,
    policy: Annotated[
        list[Path] | None, typer.Option(help="A routing policy that competes with the points; can be repeated.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Human transcripts of a sample, as 'allophone label' draws it: WER from these.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Save the operating point here; 'report' and 'diagnose' then start from it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the saved form.")] = False,
) -> None:
    """Recommend an operating point under constraints, and say what binds; --out saves it, and the report shows it."""
    from allophone.decide import decide, save_decision
    from allophone.frontier.probability import check_confidence
    from allophone.guarantee.certify import read_limits

    check_confidence(confidence)
    _check_share("--min-uar", min_uar)
    _check_share("--min-perfect-share", min_perfect_share)
    typed = {
        "--max-wer": (max_wer, "percent, such as 12", 100.0),
        "--max-cer": (max_cer, "percent, such as 5", 100.0),
        "--max-rtf": (max_rtf, "processing time over audio time, such as 0.1", None),
        "--min-rtfx": (min_rtfx, "seconds of audio a second, such as 50", None),
        "--max-latency-p95": (max_latency_p95_s, "a duration, such as 300ms", None),
        "--max-latency-p99": (max_latency_p99_s, "a duration, such as 500ms", None),
        "--max-price-per-audio-hour": (max_price, "a price, such as 0.05", None),
        "--max-p-worse": (max_p_worse, "percent, such as 5", 100.0),
        "--max-gflops": (max_gflops, "GFLOPs per utterance, such as 40", None),
        "--max-memory": (max_memory_gb, "a size, such as 1.5GB", None),
        "--max-trainable-params": (max_trainable_params, "a number of parameters", None),
        "--max-training-gflops": (max_training_gflops, "GFLOPs of a training", None),
    }
    for option, (value, wanted, most) in typed.items():
        check_positive(option, value, wanted, most)
    given = {
        "uar_loss": None if min_uar is None else 1 - min_uar / 100,
        "wer": None if max_wer is None else max_wer / 100,
        "cer": None if max_cer is None else max_cer / 100,
        "error_share": None if min_perfect_share is None else 1 - min_perfect_share / 100,
        "p_worse": None if max_p_worse is None else max_p_worse / 100,
        "price_per_audio_hour": max_price,
        "latency_p99_s": max_latency_p99_s,
        "rtf": max_rtf,
        "latency_p95_s": max_latency_p95_s,
        "executed_gflops": max_gflops,
        "trainable_params": max_trainable_params,
        "training_gflops": max_training_gflops,
        "rtf_throughput": None if min_rtfx is None else 1 / min_rtfx,
        "peak_memory_bytes": max_memory_gb,
    }
    constraints = {name: float(limit) for name, limit in given.items() if limit is not None}
    if check is not None:
        _check(run, check)
        return
    _refuse_foreign(run, constraints)
    price = read_price(price_per_hour, api_price, wanted=max_price is not None or minimise == "price_per_audio_hour")
    grouping = read_grouping(worst_group, max_wer)
    limits = read_limits(certify or ())
    if limits:
        confidence = 0.95 if confidence is None else confidence
        _refuse_contradiction(limits, constraints, policy or (), labels, other=(price, grouping) != (None, None))
    saved = decide(
        run,
        constraints,
        minimise,
        confidence,
        policy or (),
        labels,
        limits,
        price=price,
        worst_group=grouping,
    )
    if as_json:
        say(saved.model_dump_json(indent=1))
    else:
        say_prose(saved.question)
        for line in saved.explanation:
            say_prose(f"  {line}")
    if out is not None and (notice := save_decision(run, saved, out)):
        tell(notice)
    if as_json:
        return
    if (told := saved.how_to_run(out)) is not None:
        hint(told)


def _check_share(option: str, percent: float | None) -> None:
    from allophone.errors import SpaceError

    if percent is not None and not 0 < percent < 100:
        raise SpaceError(f"{option} {percent:g}: give percent, above 0 and below 100.")


_OPTIONS = {
    "wer": "--max-wer",
    "cer": "--max-cer",
    "uar_loss": "--min-uar",
    "rtf_throughput": "--min-rtfx",
    "peak_memory_bytes": "--max-memory",
    "error_share": "--min-perfect-share",
    "p_worse": "--max-p-worse",
    "trainable_params": "--max-trainable-params",
    "training_gflops": "--max-training-gflops",
}


def _refuse_foreign(run: Path, constraints: Mapping[str, float]) -> None:
    """Refuse limits on what the run's task does not measure, by the names of their options."""
    from allophone.errors import UsageError
    from allophone.frontier.objectives import objectives_of
    from allophone.ledger.run_record import read_run

    task = read_run(run).task
    known = objectives_of(task)
    for name in constraints:
        if name not in known:
            other = ("speech", "emotion") if task == "emotion" else ("emotion", "speech")
            instead = [option for key, option in _OPTIONS.items() if key in known]
            raise UsageError(
                f"{_OPTIONS[name]} is for runs of {other[0]} recognition, and {run} is one of {other[1]} recognition. "
                f"Leave it out; limits of its own: {', '.join(instead)}."
            )


def _refuse_contradiction(
    limits: Sequence[CertifiedLimit],
    constraints: Mapping[str, float],
    policies: Sequence[Path],
    labels: Path | None,
    *,
    other: bool,
) -> None:
    """Refuse what cannot be asked for together with a certificate."""
    from allophone.errors import SpaceError, UsageError

    if other:
        raise SpaceError("--certify goes with neither --price-per-hour nor --worst-group. Leave one out.")
    for limit in limits:
        if limit.rate.name in constraints:
            raise SpaceError(
                f"--certify '{limit}' and {_OPTIONS[limit.rate.name]} {100 * constraints[limit.rate.name]:g} are two "
                "limits on the same rate: one certified, one as measured. Give one of them."
            )
    if policies:
        raise UsageError(
            "--certify tests points that were fixed before the run was looked at; a policy is certified by 'allophone "
            "route calibrate POLICY RUN... --certify'. Leave --policy out."
        )
    if labels is not None:
        raise UsageError(
            "--certify needs references of all utterances, and --labels estimates error rates from some. Leave one out."
        )


def _check(run: Path, path: Path) -> None:
    """Print whether the certificate of a point file held on a run."""
    from allophone.frontier.certified import check_point
    from allophone.frontier.summarise import summarise_run
    from allophone.records.saved_point import read_point

    for line in check_point(read_point(path), summarise_run(run)):
        say_prose(line)
