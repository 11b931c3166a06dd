import pytest

from allophone.costs.decider import RoutingCost, break_even_share, decider_flops, decider_parameters, pipeline_flops
from allophone.costs.executed import WhisperFlops
from allophone.costs.selection import SHARES, select_between
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError, UnknownModelError

SMALL_MODEL = WhisperFlops(stem=1, encoder=9, cross_kv=2, decoder=3, head=5)  # 20, of which 10 before decoding
BIG_MODEL = WhisperFlops(stem=10, encoder=60, cross_kv=10, decoder=15, head=5)  # 100, of which 70 before decoding


def test_decider_on_small_by_hand():
    # Lengths 1500 -> 750 -> 250 -> 84; blocks of 256·(3·c_in + 3·256 + c_in) weights, c_in 768 then 256:
    # 750·983,040 + 250·458,752 + 84·458,752 + 256 = 890,503,424 multiply-accumulates
    assert decider_flops(whisper_dimensions("small"), 1500) == 2 * 890_503_424


def test_decider_equals_torch_s_count(executed_by):
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self, c_in, c_out, stride):
            super().__init__()
            self.first = torch.nn.Conv1d(c_in, c_out, 3, stride, padding=1)
            self.second = torch.nn.Conv1d(c_out, c_out, 3, padding=1)
            self.beside = torch.nn.Conv1d(c_in, c_out, 1, stride)

        def forward(self, states):
            return torch.relu(self.second(torch.relu(self.first(states))) + self.beside(states))

    dims = whisper_dimensions("tiny")
    weights = torch.nn.Parameter(torch.zeros(dims.n_audio_layer + 1))
    blocks = torch.nn.Sequential(Block(dims.n_audio_state, 256, 2), Block(256, 256, 3), Block(256, 256, 3))
    output = torch.nn.Linear(256, 1)
    states = torch.zeros(dims.n_audio_layer + 1, dims.n_audio_state, 431)

    def decide():
        mixed = (torch.softmax(weights, 0)[:, None, None] * states).sum(0, keepdim=True)
        return torch.sigmoid(output(blocks(mixed).mean(-1)))

    with torch.no_grad():
        assert decider_flops(dims, 431) == executed_by(decide)
    trained = [weights, *blocks.parameters(), *output.parameters()]
    assert decider_parameters(dims) == sum(parameter.numel() for parameter in trained)


@pytest.mark.parametrize(
    ("pipeline", "decider", "at_0", "at_1", "break_even"),
    [
        # Big encoder 70, decider 4; then 20 for the whole small model or 30 for the rest of the big one.
        # 74 + 20(1 - p) + 30p = 100 at p = 0.6
        ("big_first", 4, 94, 104, 0.6),
        # Small encoder 10, decider 4; then 10 for the rest of the small one or the whole big one.
        # 14 + 10(1 - p) + 100p = 100 at p = 76/90
        ("small_first", 4, 24, 114, 76 / 90),
        # 20 + 100p = 100 at p = 0.8
        ("cascade", 0, 20, 120, 0.8),
        # A decider of 10 on top of the big encoder leaves nothing to gain.
        ("big_first", 10, 100, 110, None),
    ],
)
def test_pipelines_by_hand(pipeline, decider, at_0, at_1, break_even):
    cost = pipeline_flops(pipeline, small=SMALL_MODEL, big=BIG_MODEL, decider=decider)
    assert cost.mean_flops(0) == at_0
    assert cost.mean_flops(1) == at_1
    assert cost.mean_flops(0.5) == pytest.approx((at_0 + at_1) / 2)
    share = break_even_share(cost)
    assert share == (None if break_even is None else pytest.approx(break_even))
    if share is not None:
        assert cost.mean_flops(share) == pytest.approx(cost.always_big)


def test_cheaper_at_every_share():
    assert break_even_share(RoutingCost("cascade", fixed=10, big=50, small=0, always_big=100)) == 1.0
    assert break_even_share(RoutingCost("cascade", fixed=10, big=0, small=40, always_big=100)) == 1.0


def test_impossible_shares_and_pipelines():
    cost = pipeline_flops("cascade", small=SMALL_MODEL, big=BIG_MODEL)
    for share in (-0.1, 1.1):
        with pytest.raises(SpaceError, match="0 to 1"):
            cost.mean_flops(share)
    with pytest.raises(SpaceError, match="small_first"):
        pipeline_flops("both", small=SMALL_MODEL, big=BIG_MODEL)


def test_tiny_and_small_as_in_the_paper():
    # With cached decoding the encoder is 87 % of small, so a decider behind it can save 1.6 % at the very most.
    result = select_between()
    assert result.big_encoder_share == pytest.approx(0.873, abs=5e-4)
    big_first, small_first, cascade = result.rows
    assert big_first.decider_flops == 2 * 890_503_424
    assert big_first.largest_saving == pytest.approx(0.0159, abs=5e-5)
    assert big_first.break_even_share == pytest.approx(0.778, abs=5e-4)
    assert small_first.break_even_share == pytest.approx(0.902, abs=5e-4)
    assert cascade.break_even_share == pytest.approx(0.894, abs=5e-4)
    assert cascade.decider_flops == 0
    for row in result.rows:
        assert len(row.mean_flops) == len(SHARES)
        assert row.mean_flops[0] < result.big_flops < row.mean_flops[-1]


def test_unknown_model():
    with pytest.raises(UnknownModelError, match="large-v3-turbo"):
        select_between("tinier")
