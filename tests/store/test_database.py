"""What every driver keeps to, whatever a transaction does."""

import asyncio

import pytest

from smsbridge.core.errors import StoreUnavailable
from smsbridge.store.database import Conflict, Transaction, sql
from tests.fakes.waiting import PATIENCE


def bind(peer: str, did: str = "+15551230001") -> Transaction[str]:
    yield sql(
        "INSERT INTO binding (owner, peer, did, bound_at) VALUES ('john@example.com', $1, $2, $3)",
        *(peer, did, 1_772_000_000_000),
    )
    return peer


def bound() -> Transaction[list[str]]:
    rows = yield sql("SELECT peer FROM binding ORDER BY peer")
    return [row["peer"] for row in rows]


async def test_a_result_is_what_the_transaction_returns(house):
    assert await house.run(bind, "+15559870002") == "+15559870002"
    assert await house.run(bound) == ["+15559870002"]


async def test_many_at_once_are_all_committed(house):
    peers = [f"+1555987{n:04d}" for n in range(150)]
    assert await asyncio.gather(*(house.run(bind, peer) for peer in peers)) == peers
    assert await house.run(bound) == peers


async def test_they_are_committed_in_the_order_in_which_they_were_asked_for(house):
    def append(text: str) -> Transaction[None]:
        yield sql("UPDATE binding SET did = did || $1 WHERE peer = 'p'", text)

    await house.run(bind, "p", "")
    await asyncio.gather(*(house.run(append, text) for text in "abcdefghij"))
    assert [row["did"] for row in await house.rows("SELECT did FROM binding")] == ["abcdefghij"]


async def test_a_violated_constraint_ends_its_transaction_and_nobody_elses(house):
    def twice(peer: str) -> Transaction[None]:
        yield from bind(peer)
        yield from bind(peer)

    outcomes = await asyncio.gather(
        house.run(bind, "a"), house.run(twice, "b"), house.run(bind, "c"), return_exceptions=True
    )
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == ["a", Conflict, "c"]
    assert await house.run(bound) == ["a", "c"]


async def test_an_error_of_its_own_undoes_a_transaction_and_nobody_elses(house):
    def fail() -> Transaction[None]:
        yield from bind("b")
        raise RuntimeError("mine alone")

    def refuse() -> Transaction[None]:
        yield sql("SELECT 1 AS one")
        raise LookupError("nothing was written")

    outcomes = await asyncio.gather(
        *(house.run(work, *args) for work, *args in ((bind, "a"), (fail,), (refuse,), (bind, "c"))),
        return_exceptions=True,
    )
    assert [outcomes[0], type(outcomes[1]), type(outcomes[2]), outcomes[3]] == ["a", RuntimeError, LookupError, "c"]
    assert await house.run(bound) == ["a", "c"]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (sql("SELECT did FROM binding WHERE peer = $1 AND did = $2", "a"), ValueError),
        (sql("SELECT did FROM binding WHERE bound_at = $1", 1 << 70), (ValueError, OverflowError)),
        (sql("SELECT * FROM nowhere"), StoreUnavailable),
    ],
)
async def test_a_faulty_statement_hurts_nobody_else(house, statement, error):
    def faulty() -> Transaction[None]:
        yield from bind("b")
        yield statement

    good, bad = await asyncio.gather(house.run(bind, "a"), house.run(faulty), return_exceptions=True)
    assert good == "a"
    assert isinstance(bad, error)
    assert await house.run(bound) == ["a"]


async def test_no_error_quotes_what_was_to_be_stored(house):
    def tell(text: str) -> Transaction[None]:
        yield from bind(text)
        yield from bind(text)

    def misplace(text: str) -> Transaction[None]:
        yield sql("SELECT 1 AS one FROM binding WHERE peer = $1 AND did = $2", text)

    for work in (tell, misplace):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is
            await house.run(work, "a secret text")
        error = caught.value
        while error is not None:
            assert "secret" not in str(error)
            error = None if error.__suppress_context__ else error.__cause__ or error.__context__


async def test_what_is_no_transaction_is_the_callers_error(house):
    with pytest.raises(TypeError):
        await house.run(lambda: None)
    assert await house.run(bind, "a") == "a"


async def test_what_no_database_takes_in_a_text_is_replaced(house):
    await house.run(bind, "nul \0, half \ud83d, whole \U0001f600")
    assert await house.run(bound) == ["nul \ufffd, half ?, whole \U0001f600"]


async def test_a_caller_who_goes_away_does_not_stop_what_was_begun(house):
    tasks = [asyncio.ensure_future(house.run(bind, peer)) for peer in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert (tasks[0].result(), tasks[1].cancelled(), tasks[2].result()) == ("a", True, "c")
    assert await house.run(bound) == ["a", "b", "c"]


async def test_what_was_begun_is_finished_before_it_closes(house):
    tasks = [asyncio.ensure_future(house.database.run(bind, peer)) for peer in "abc"]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(house.database.close(), house.database.close())
    assert [task.result() for task in tasks] == ["a", "b", "c"]
    with pytest.raises(StoreUnavailable, match="closed"):
        await house.run(bind, "d")
