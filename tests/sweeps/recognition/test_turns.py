from collections import Counter

from allophone.sweeps.recognition.turns import in_turn

NAMES = ["a", "b", "c", "d"]


def test_every_item_is_first_equally_often():
    first = Counter(in_turn(NAMES, 0, index)[0] for index in range(4000))
    assert all(900 < first[name] < 1100 for name in NAMES)  # 1000 each, standard deviation 27


def test_one_left_out_does_not_change_the_others_order():
    for index in range(50):
        order = in_turn(NAMES, 3, index)
        for gone in NAMES:
            assert in_turn([name for name in NAMES if name != gone], 3, index) == [n for n in order if n != gone]


def test_the_order_follows_seed_and_utterance_alone():
    assert in_turn(reversed(NAMES), 1, 5) == in_turn(NAMES, 1, 5)
    orders = {tuple(in_turn(NAMES, seed, index)) for seed in range(3) for index in range(100)}
    assert len(orders) == 24  # all there are
