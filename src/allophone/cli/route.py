"""``allophone route``: train, calibrate and evaluate a policy that sends each utterance to the point it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.route_emotion import route_emotion
from allophone.cli.say import hint, say
from allophone.cli.show import Wide
from allophone.cli.verb import Verb, verb

if TYPE_CHECKING:
    from allophone.routing.policy_file import Calibration, CalibrationFigures, PolicyFile

__all__ = ["route"]

route = typer.Typer(
    help="Train, calibrate and evaluate a policy that spends the big model on hard audio only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

route.command("emotion", cls=Verb)(verb(route_emotion))

_Runs = Annotated[list[Path], typer.Argument(help="Run folders that measured the policy's points.")]
_Policy = Annotated[Path, typer.Argument(help="A policy's folder.")]
_Force = Annotated[bool, typer.Option("--force", help="Accept fewer than 100 utterances or 5 speakers.")]
_ForceCalibration = Annotated[
    bool, typer.Option("--force", help="Accept fewer than 100 utterances or 8 speakers; promises nothing.")
]


@route.command("train", cls=Verb)
@verb
def train(
    runs: _Runs,
    points: Annotated[str, typer.Option(help="Two or more points, cheap to dear, by name or id, comma-separated.")],
    out: Annotated[Path, typer.Option(help="The policy's folder.")],
    kind: Annotated[
        str,
        typer.Option(
            help="cascade (decides on a cheap transcript), decider (before decoding) or faithful (arXiv 2309.12712)."
        ),
    ] = "cascade",
    reads: Annotated[
        str, typer.Option(help="What a decider looks at: encoder (the first point's) or mel (log-mel alone).")
    ] = "encoder",
    choice: Annotated[
        bool, typer.Option(help="Whether a cascade may keep the cheap transcript after the dear point ran.")
    ] = True,
    encoder: Annotated[
        str | None,
        typer.Option(help="Whose hidden states a faithful one reads: big (as published, the default), small, log-mel."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of a faithful one's training; 8 by default.")] = None,
    hold_out: Annotated[float, typer.Option(help="Share whose speakers are left for calibration.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and networks.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a decider's encoder.")] = 1,
    force: _Force = False,
) -> None:
    """Train a policy on ledger runs; speakers that train it and speakers that choose it are never the same."""
    from allophone.errors import UsageError
    from allophone.routing.published.training import ENCODERS, train_faithful
    from allophone.routing.training import train_policy

    if kind not in ("cascade", "decider", "faithful"):
        raise UsageError(f"--kind '{kind}': write cascade, decider or faithful.")
    if reads not in ("encoder", "mel"):
        raise UsageError(f"--reads '{reads}': write encoder or mel.")
    if encoder is not None and encoder not in ENCODERS:
        raise UsageError(f"--encoder '{encoder}': write {', '.join(ENCODERS)}.")
    if kind != "faithful" and (encoder, epochs) != (None, None):
        raise UsageError(f"--encoder and --epochs are for --kind faithful; leave them out for a {kind}.")
    names = [name.strip() for name in points.split(",") if name.strip()]
    if kind == "faithful":
        policy = train_faithful(
            runs,
            names,
            out,
            encoder=encoder or "big",
            epochs=epochs or 8,
            hold_out=hold_out,
            seed=seed,
            force=force,
            threads=threads,
        )
    else:
        policy = train_policy(
            runs,
            names,
            out,
            kind=kind,  # type: ignore[arg-type]
            reads=reads,  # type: ignore[arg-type]
            choice=choice,
            hold_out=hold_out,
            seed=seed,
            force=force,
            threads=threads,
        )
    trained = policy.training
    better, equal, worse = (f"{100 * share:.0f} %" for share in trained.label_shares)
    say(f"{policy.kind} over {'; '.join(point.title for point in policy.points)}: {trained.regressor}")
    say(
        f"  trained on {trained.n_utterances} utterances of {len(trained.speakers)} speakers; the last point is better "
        f"on {better}, equal on {equal}, worse on {worse} of them"
    )
    low, high = trained.recovered_interval
    if trained.recovered_share is not None and low is not None and high is not None:
        say(
            f"  on speakers not seen, recovers {100 * trained.recovered_share:.0f} % of what the oracle gains over "
            f"chance [{100 * low:.0f}, {100 * high:.0f}]"
        )
    for warning in trained.warnings:
        say(f"  {warning}")
    if kind == "faithful":
        say(f"  escalates where the first point is likelier than {policy.threshold:g} to make more errors")
    hint(f"Saved. Set its threshold with: allophone route calibrate {out} RUN... --big-share 0.3")


@route.command("calibrate", cls=Verb)
@verb
def calibrate(
    policy: _Policy,
    runs: _Runs,
    target_wer: Annotated[float | None, typer.Option(help="Word error rate to reach at least cost, percent.")] = None,
    budget_gflops: Annotated[float | None, typer.Option(help="Mean executed GFLOPs per utterance to keep to.")] = None,
    big_share: Annotated[float | None, typer.Option(help="Share, 0 to 1, that may reach the last point.")] = None,
    confidence: Annotated[float, typer.Option(help="Probability, 0.5 to 1, with which new speakers keep to it.")] = 0.9,
    certify: Annotated[
        list[str] | None,
        typer.Option(
            help='Instead: a limit in percent that it is certified to keep with --confidence, e.g. "wer<=12": on wer, '
            "wer_capped, wer_clipped (which count fewer of an utterance's errors) or error_share; repeatable."
        ),
    ] = None,
    force: _ForceCalibration = False,
) -> None:
    """Set a policy's threshold so that new speakers keep to one target, on speakers that it was not trained on."""
    from allophone.errors import UsageError
    from allophone.routing.calibration import calibrate_policy
    from allophone.routing.thresholds import CalibrationTarget

    goals = {
        "--target-wer": CalibrationTarget("wer", target_wer / 100, confidence) if target_wer is not None else None,
        "--budget-gflops": CalibrationTarget("gflops", budget_gflops, confidence)
        if budget_gflops is not None
        else None,
        "--big-share": CalibrationTarget("big_share", big_share, confidence) if big_share is not None else None,
    }
    given = {name: goal for name, goal in goals.items() if goal is not None}
    if len(given) + bool(certify) != 1:
        names = [*given, *(["--certify"] if certify else [])]
        found = f"{' and '.join(names)} pull one threshold in different directions: " if names else ""
        raise UsageError(f"{found}give one of --target-wer, --budget-gflops, --big-share and --certify.")
    if certify:
        for line in _certified(policy, runs, certify, confidence):
            say(line)
        return
    for line in _calibrated(calibrate_policy(policy, runs, next(iter(given.values())), force=force)):
        say(line)


def _certified(folder: Path, runs: list[Path], certify: list[str], confidence: float) -> list[str]:
    from allophone.frontier.probability import check_confidence
    from allophone.guarantee.certify import read_limits, show_certificate
    from allophone.routing.certified_threshold import certify_policy

    check_confidence(confidence)
    policy = certify_policy(folder, runs, read_limits(certify), confidence)
    told = [f"  {line}" for found in policy.certificates for line in show_certificate(found)]
    return [f"threshold {policy.threshold:.4g}, the cheapest that is certified", *told]


def _calibrated(policy: PolicyFile) -> list[str]:
    found = policy.calibration
    if found is None or found.cross_fitted is None:
        return []
    last = policy.points[-1].title
    folds = f"folds of other speakers set {min(found.fold_thresholds):.4g} to {max(found.fold_thresholds):.4g}"
    lines = [
        f"threshold {policy.threshold:.4g}, from {found.n_utterances} utterances of {found.n_speakers} speakers "
        f"({folds})",
        f"  expect of new speakers (each at the threshold that others set): {_figures(found.cross_fitted, last)}",
        f"  on the speakers that set it: {_figures(found, last)}",
    ]
    if not found.forced and found.confidence is not None:
        lines.append(
            f"  new speakers keep {_wished(found)} with a probability of {found.confidence:g}: of all calibrations for "
            f"this target, refusals counted, at most {100 * (1 - found.confidence):.3g} % break it"
        )
    if found.folds_unmet:
        lines.append(
            f"  without one fold's speakers the target was out of reach in {found.folds_unmet} of "
            f"{len(found.fold_thresholds)} folds, which took the nearest threshold"
        )
    return [*lines, *(f"  {warning}" for warning in found.warnings)]


def _wished(found: Calibration) -> str:
    return {
        "wer": f"a WER of {100 * found.value:g} %",
        "gflops": f"{found.value:g} GFLOPs per utterance",
        "big_share": f"a share of {100 * found.value:g} %",
    }[found.target]


def _figures(found: CalibrationFigures, last: str) -> str:
    def shown(values: tuple[float, float, float], scale: float = 1.0, digits: int = 2) -> str:
        value, low, high = (f"{scale * value:.{digits}f}" for value in values)
        return f"{value} [{low}, {high}]"

    return (
        f"WER {shown(found.wer, 100)} %, {shown(found.gflops)} GFLOPs, {shown(found.seconds, digits=3)} s an "
        f"utterance, {shown(found.big_share, 100, 0)} % to {last}"
    )


@route.command("evaluate", cls=Verb)
@verb
def evaluate(
    policy: _Policy,
    runs: _Runs,
    threshold: Annotated[float | None, typer.Option(help="Stand here instead of at the policy's own.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write evaluation.json and evaluation.html into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs, seconds.")] = False,
    wide: Wide = False,
) -> None:
    """Replay a policy on runs beside chance, oracle, weak baselines and static points."""
    from allophone.cli.show import print_table
    from allophone.files import write_whole
    from allophone.report.routing import evaluation_html, evaluation_tables
    from allophone.routing.certified_threshold import check_policy
    from allophone.routing.evaluation import evaluate_policy

    found = evaluate_policy(policy, runs, threshold=threshold)
    if out is not None:
        write_whole(out / "evaluation.json", found.to_json() + "\n")
        write_whole(out / "evaluation.html", evaluation_html(found))
    if as_json:
        say(found.to_json())
        return
    for table in evaluation_tables(found):
        print_table(table, wide=wide)
    if threshold is None:
        for line in check_policy(policy, runs):
            say(line)
