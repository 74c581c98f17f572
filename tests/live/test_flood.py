"""A carrier comes through while others flood the door; `make flood` does it for longer."""

from tests.bench.flood import Plan, run


async def test_a_carrier_is_answered_and_its_texts_are_shown_while_the_door_is_flooded():
    report = await run(Plan(seconds=8, sockets=600, keys=200, huge=2, slowest=4))
    assert report.broken_promises == []
    assert report.accepted == sum(phase.answers["200"] for phase in report.phases) > 100
    assert report.attackers["slow connections"] > 600
    assert report.attackers["wrong keys: 429"] + report.attackers["wrong keys: 403"] > 200
    assert not [name for name in report.attackers if name.endswith(": 200")]
    assert report.log_lines < 2 * report.accepted
