"""The trail: every step in order, and no content."""

from dataclasses import replace

from smsbridge.core.state import PartEvent as V
from smsbridge.store import history
from smsbridge.store.history import Step

STEP = Step(
    subject="part", subject_id="p1", who="dispatcher", state="sent", attempt=2, provider_id="9", reason="r", code="c"
)


async def test_a_step_comes_back_with_its_time(house):
    await house.do(history.note, STEP)
    assert await house.run(history.of_subject, "p1") == (replace(STEP, at=house.now),)
    assert await house.run(history.of_subject, "p2") == ()


async def test_steps_stand_in_the_order_in_which_they_were_made_whatever_the_clock_says(house):
    for state, minutes in (("one", 0), ("two", -60), ("three", 5)):
        house.clock.move(minutes=minutes)
        await house.do(history.note, replace(STEP, state=state))
    assert [step.state for step in await house.run(history.of_subject, "p1")] == ["one", "two", "three"]


async def test_the_trail_holds_no_text_and_no_number_of_a_peer(house):
    await house.accept("a secret between us")
    await house.move(await house.claim(), V.ACCEPT, attempt=1)
    for row in await house.rows("SELECT * FROM history"):
        assert "secret" not in str(row)
        assert "+15559870002" not in str(row)
