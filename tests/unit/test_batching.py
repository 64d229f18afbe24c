"""Every text is placed once, equal lengths together, within the chunk's width."""

from __future__ import annotations

from hartonomous_server.inference.batching import STEP, WIDTH, plan
from hypothesis import given
from hypothesis import strategies as st

LENGTHS = st.lists(st.integers(1, 700), max_size=60)


@given(LENGTHS, st.booleans())
def test_plan_covers_all_texts(lengths: list[int], packed: bool) -> None:
    chunks = plan(lengths, packed)
    groups = [group for chunk in chunks for group in chunk.groups]
    assert sorted(text for group in groups for text in group.texts) == list(range(len(lengths)))
    for chunk in chunks:
        place = 0
        for group in chunk.groups:
            assert group.start == place
            assert {lengths[text] for text in group.texts} == {group.length}
            place = group.end
        texts = sum(len(group.texts) for group in chunk.groups)
        assert chunk.used == place <= chunk.width < place + STEP
        assert chunk.width % STEP == 0
        assert place <= WIDTH or texts == 1
        assert packed or texts == 1


def test_packed_chunks_are_full() -> None:
    chunks = plan([100] * 12, packed=True)
    assert [len(chunk.groups[0].texts) for chunk in chunks] == [5, 5, 2]
