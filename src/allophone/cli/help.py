"""What ``--help`` says beside the options themselves: in which groups they stand, and examples to begin from."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXAMPLES", "PANELS"]

PANELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sweep": {
        "Points to measure": ("models", "axis", "space", "point", "plan", "budgets", "extend"),
        "Searches (--plan race or joint)": ("cost", "spend", "trials", "storage", "max_rtf", "max_gflops", "seed"),
        "Speech recognition": (
            *("language", "normalizer", "reference_model", "speakers", "workers", "strict", "max_audio_s"),
        ),
        "Throughput": ("throughput", "jobs", "batch_size", "throughput_minutes", "throughput_rounds"),
        "Emotion recognition (--task emotion)": ("split", "folds", "seeds", "epochs", "precision"),
        "This machine": ("device", "threads", "wait_for_idle"),
    },
    "recommend": {
        "Limits": (
            *("max_wer", "max_cer", "min_uar", "max_rtf", "min_rtfx", "max_latency_p95_s", "max_gflops"),
            *("max_memory_gb", "max_trainable_params", "max_training_gflops", "max_price", "max_latency_p99_s"),
            *("min_perfect_share", "max_p_worse", "worst_group"),
        ),
        "Money": ("price_per_hour", "api_price"),
        "How surely": ("confidence", "certify", "check"),
        "What else to read": ("policy", "labels"),
    },
    "transcribe": {
        "What runs": ("point", "model", "policy", "threshold", "language", "task", "prompt"),
        "Where texts go": ("style", "out", "overwrite"),
        "This machine": ("jobs", "batch_size", "threads", "device", "max_audio_s"),
    },
    "serve": {
        "What runs": ("point", "model", "policy", "threshold", "language"),
        "Who is let in": ("host", "port", "api_key_file", "new_api_key", "without_keys"),
        "What is taken": ("max_queue_s", "max_audio_s", "max_upload_bytes"),
        "This machine": ("workers", "threads", "device"),
    },
    "cost": {
        "Speech recognition": (
            *("audio_s", "window_s", "context", "margin_s", "floor_s", "tail", "token_stride", "speed", "beam_size"),
            *("text_tokens", "prompt_tokens", "compute_type", "device"),
        ),
        "Emotion recognition": ("duration_s", "lora_rank", "unfrozen_layers", "classes"),
    },
    "adapt emotion": {
        "What is trained": ("model", "duration_s", "lora_rank", "unfrozen_layers"),
        "On which speakers": ("split", "folds", "fold", "test_speakers", "seed"),
        "How": ("epochs", "patience", "batch_size", "head_lr", "encoder_lr", "lora_lr", "precision", "cached"),
        "This machine": ("device", "threads"),
    },
}
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "sweep": (
        "allophone sweep recordings --models tiny.en,base --out runs/x",
        "allophone sweep recordings --axis beam_size=1,5 --out runs/x --dry-run",
        "allophone sweep recordings --plan race --spend 0.2 --out runs/race",
    ),
    "frontier": ("allophone frontier runs/x", "allophone frontier runs/x --cost latency_p95_s --csv > x.csv"),
    "recommend": (
        "allophone recommend runs/x --price-per-hour 0.40 --api-price 0.006/min",
        "allophone recommend runs/x --max-wer 15 --worst-group duration",
        "allophone recommend runs/x --max-rtf 0.1 --max-wer 12 --out point.json",
        "allophone recommend runs/x --max-latency-p95 300ms --confidence 0.9",
    ),
    "compare": (
        "allophone compare runs/before runs/after",
        'allophone compare runs/before runs/after --fail-if "wer > +0.3" --markdown',
        "allophone compare runs/x runs/x --point tiny.en --point base",
    ),
    "export": (
        "allophone export runs/x --format csv",
        "allophone export runs/x --format svg --cost executed_gflops --out figures",
    ),
    "label": ("allophone label runs/x --budget 30", "allophone label runs/x --apply runs/x/transcripts.csv"),
    "diagnose": ("allophone diagnose runs/x", 'allophone diagnose runs/x --point "base, beam 5" --cost rtf'),
    "transcribe": (
        "allophone transcribe --point point.json a.wav b.mp3",
        "allophone transcribe --model base inbox --format srt,json --out texts",
    ),
    "serve": (
        "allophone serve --model base",
        "allophone serve --policy policy --host 0.0.0.0 --api-key-file keys",
        "allophone serve --new-api-key --api-key-file keys",
    ),
    "classify": ("allophone classify --model models/emotion a.wav",),
    "report": ("allophone report runs/x", "allophone report runs/x --cost executed_gflops --out x.html"),
    "law": ("allophone law runs/x --budget-gflops 40",),
    "cost": ("allophone cost base --context fit --margin-s 1 --audio-s 10", "allophone cost --reproduce 2606.22790"),
    "models": ("allophone models",),
    "doctor": ("allophone doctor", "allophone doctor --measure"),
    "demo": ("allophone demo --out runs/demo",),
    "route train": ('allophone route train runs/x --points "tiny.en, base, beam 5" --out policy',),
    "route calibrate": ("allophone route calibrate policy runs/x --big-share 0.3",),
    "route evaluate": ("allophone route evaluate policy runs/y",),
    "route emotion": ("allophone route emotion runs/e --points tiny.en-3s-top2,base-3s-top4",),
    "adapt context": ("allophone adapt context recordings --model tiny.en --out models/short",),
    "adapt tail": ("allophone adapt tail recordings --model small --out models/small-tail",),
    "adapt emotion": ("allophone adapt emotion CREMA-D --unfrozen-layers 2 --out models/emotion",),
}
