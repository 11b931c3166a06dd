"""What is usual: FastAPI round faster-whisper's batched pipeline, a request a call; started by ``serve_load``."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

import uvicorn
from fastapi import FastAPI, Form, UploadFile
from faster_whisper import BatchedInferencePipeline, WhisperModel

from allophone.models.threads import physical_cores
from allophone.models.weights import resolve_weights
from allophone.serve.run import listen

BATCH_SIZE = 8


def make_app(model: str, workers: int) -> FastAPI:
    """Return the application; the calls run in FastAPI's threads, over so many workers that share the cores."""
    loaded = WhisperModel(
        str(resolve_weights(model).folder),
        "cpu",
        compute_type="int8",
        cpu_threads=physical_cores() // workers,
        num_workers=workers,
    )
    pipeline = BatchedInferencePipeline(loaded)
    app = FastAPI()

    @app.post("/v1/audio/transcriptions")
    def transcribe(file: UploadFile, model: str = Form()) -> dict[str, Any]:
        del model
        segments, _ = pipeline.transcribe(BytesIO(file.file.read()), language="en", batch_size=BATCH_SIZE)
        return {"text": " ".join(segment.text.strip() for segment in segments)}

    return app


def main() -> None:
    """Serve a model over a number of workers on a free port, which is printed."""
    config = uvicorn.Config(
        make_app(sys.argv[1], int(sys.argv[2])), host="127.0.0.1", port=0, log_config=None, access_log=False
    )
    listener = listen(config)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
