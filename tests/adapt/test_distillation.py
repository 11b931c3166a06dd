from dataclasses import replace

import numpy as np
import pytest

from allophone.adapt.distillation import decode_states, distil, read_prompt, teacher_targets
from allophone.adapt.windows import Window
from allophone.audio.mel import TRAINED_FRAMES, log_mel
from allophone.encoders.torch_whisper import encode_windows, load_torch_whisper
from allophone.errors import UsageError, WeightsError
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.engine import load_engine
from allophone.models.weights import locate_weights
from builders import tone

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def student(little_whisper):
    return load_torch_whisper(little_whisper)


@pytest.fixture(scope="module")
def prompt(little_whisper):
    return read_prompt(little_whisper, whisper_dimensions_of(little_whisper), "en")


@pytest.fixture(scope="module")
def examples(little_whisper, prompt):
    engine = load_engine(str(little_whisper), "float32", threads=1)
    windows = [Window(f"u{n}", tone(seconds, n), frames) for n, (seconds, frames) in enumerate([(1, 120), (2, 220)])]
    windows.append(Window("silence", np.zeros(0, np.float32), TRAINED_FRAMES))
    taught = [teacher_targets(engine, window, prompt, "en") for window in windows]
    # The random teacher may or may not come to an end; here its texts are made up, of unlike lengths.
    return [
        replace(taught[0], tokens=(*prompt.start, 3, 4, 5)),
        replace(taught[1], tokens=(*prompt.start, 7)),
        taught[2],
    ]


def test_the_prompt_is_read_by_name(prompt):
    assert (prompt.start, prompt.end) == ((41, 43), 40)  # of 40 words and four special tokens


def test_a_multilingual_prompt_names_language_and_task():
    weights = locate_weights("base")
    if weights is None:
        pytest.skip("the weight package is not installed")
    # openai/whisper's multilingual vocabulary: sot 50258, de 50261, transcribe 50359, notimestamps 50363, eot 50257.
    prompt = read_prompt(weights.folder, weights.dimensions, "de")
    assert (prompt.start, prompt.end) == ((50258, 50261, 50359, 50363), 50257)
    with pytest.raises(UsageError, match="language 'klingon'"):
        read_prompt(weights.folder, weights.dimensions, "klingon")


def test_a_tokenizer_without_whispers_tokens_is_named(little_whisper, tmp_path):
    text = (little_whisper / "tokenizer.json").read_text().replace("<|notimestamps|>", "<|other|>")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(WeightsError, match=r"has no <\|notimestamps\|>"):
        read_prompt(tmp_path, whisper_dimensions_of(little_whisper), "en")


def test_a_real_teacher_writes_what_it_hears(speech):
    weights = locate_weights("tiny.en")
    if weights is None:
        pytest.skip("the weight package is not installed")
    engine = load_engine("tiny.en", "float32", threads=1)
    prompt = read_prompt(weights.folder, weights.dimensions, "en")
    targets = teacher_targets(engine, Window("u", speech[1].samples, 400), prompt, "en")
    assert targets.states.shape == (1500, 384)
    assert targets.tokens[: len(prompt.start)] == prompt.start
    assert prompt.end not in targets.tokens
    from tokenizers import Tokenizer

    text = Tokenizer.from_file(str(weights.folder / "tokenizer.json")).decode(list(targets.tokens))
    assert "letter" in text


def test_silence_and_loops_have_no_text(little_whisper, prompt, monkeypatch):
    engine = load_engine(str(little_whisper), "float32", threads=1)
    assert (
        teacher_targets(engine, Window("silence", np.zeros(0, np.float32), TRAINED_FRAMES), prompt, "en").tokens == ()
    )
    decode = engine.decode
    monkeypatch.setattr(engine, "decode", lambda *a, **k: replace(decode(*a, **k), truncated=True))
    looped = teacher_targets(engine, Window("u", tone(1, 0), 100), prompt, "en")
    assert looped.tokens == ()
    assert looped.states.shape == (1500, 64)


def test_the_decoder_is_that_of_transformers_window_by_window(student):
    torch.manual_seed(0)
    states, ids = torch.randn(2, 30, 64), torch.tensor([[41, 43, 3, 4], [41, 43, 7, 0]])
    with torch.no_grad():
        together = decode_states(student, states, torch.tensor([12, 30]), ids)
        for row, seen in enumerate((12, 30)):
            alone = student.model.decoder(ids[row : row + 1], encoder_hidden_states=states[row : row + 1, :seen])
            assert torch.allclose(together[row], alone.last_hidden_state[0], atol=1e-5)


def test_a_student_at_full_context_has_nothing_to_learn(student, examples, prompt):
    full = [replace(targets, window=replace(targets.window, frames=TRAINED_FRAMES)) for targets in examples]
    for tail in ("none", "all"):
        losses = distil(student, full, prompt, tail=tail)
        assert losses.kl == pytest.approx(0, abs=1e-5)
        assert losses.hidden == pytest.approx(0, abs=1e-6)
    short = distil(student, examples, prompt, tail="none")
    assert short.kl > 1e-4
    assert short.hidden > 1e-4


@pytest.mark.parametrize("tail", ["none", "all"])
def test_the_losses_are_what_a_loop_over_windows_computes(student, examples, prompt, tail):
    model, total_kl, total_hidden = student.model, 0.0, 0.0
    with torch.no_grad():
        silence = encode_windows(model.encoder, torch.from_numpy(log_mel(np.zeros(0, np.float32), 3000, 80))[None])
        for targets in examples:
            window = targets.window
            mel = torch.from_numpy(log_mel(window.samples, window.frames, 80))[None]
            encoded, teacher = encode_windows(model.encoder, mel), torch.from_numpy(targets.states)[None]
            n = window.samples.size // 320 or 1500  # whole audio tokens here; all of them for silence
            total_hidden += float((encoded[:, :n] - teacher[:, :n]).square().sum() / teacher[:, :n].square().sum())
            if not targets.tokens:
                continue
            if tail == "all":
                encoded = torch.cat([encoded, silence[:, encoded.shape[1] :]], 1)
            ids = torch.tensor([targets.tokens])
            p, q = (
                student.proj_out(model.decoder(ids, encoder_hidden_states=states).last_hidden_state)[0, 1:].softmax(-1)
                for states in (teacher, encoded)
            )
            total_kl += float((p * (p / q).log()).sum())
    losses = distil(student, examples, prompt, tail=tail)
    # One distribution after the prompt and one after every text token: 3 + 1 and 1 + 1.
    assert (losses.n_tokens, losses.n_windows) == (6, 3)
    assert losses.kl == pytest.approx(total_kl, rel=1e-3)
    assert losses.hidden == pytest.approx(total_hidden, rel=1e-3)
    assert losses.total == pytest.approx(total_kl / 6 + total_hidden / 3, rel=1e-3)


def test_gradients_are_those_of_all_windows_at_once(little_whisper, examples, prompt):
    """Batches of like lengths add up: the gradient is that of the mean, however windows are grouped."""

    def gradient(parts, divide):
        model = load_torch_whisper(little_whisper)
        for part in parts:
            distil(model, part, prompt, tail="none", backward=True)
        return {
            key: value.grad / divide for key, value in model.model.encoder.named_parameters() if value.requires_grad
        }

    once = gradient([examples], 1)
    # The same lessons twice over are the same mean, in other groups.
    twice = gradient([[*examples, *examples]], 1)
    assert any(value.abs().sum() > 0 for value in once.values())
    for key, value in once.items():
        assert torch.allclose(value, twice[key], atol=1e-6), key
