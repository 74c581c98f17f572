"""A kill at each boundary of a transaction: nothing lost, nothing sent twice, everything told."""

import pytest

from smsbridge.bridge.settling import settle
from smsbridge.core.errors import Deferred, Hold, Reason, Rejected, StoreUnavailable
from smsbridge.core.message import Kind, ReportState
from tests.fakes.words import because

from .house import ADMIN, ANN, DOMAIN, JOHN, OWN, PEER, SHARED, inbound, outbound, report, with_line

FULL, CONTACT = f"{JOHN}/phone", f"{PEER}@{DOMAIN}"
TICK = ("receipt", FULL, CONTACT, "s1")


async def next_life(reopen, before):
    """Start as the service does: what the carrier has taken so far is known to it alone."""
    heir = await reopen()
    heir.provider.accepted[:0] = before.provider.accepted
    await heir.reconciler.look()
    await heir.dispatch()
    await heir.reconciler.look()
    return heir


def sent_by_carrier(house):
    return [part.text for part in house.provider.accepted]


class TestOutbound:
    async def test_after_the_text_was_accepted(self, house, reopen):
        await house.outbound.accept(outbound("hello"))
        await house.kill()
        heir = await next_life(reopen, house)
        assert sent_by_carrier(heir) == ["hello"]
        assert await heir.told() == [TICK]

    async def test_after_the_claim_before_the_carrier_was_called(self, house, reopen):
        """The store says `sending` and nobody can know that the call was never made."""
        await house.outbound.accept(outbound("hello"))
        await house.outbound.accept(outbound("next", sid="s2"))
        await house.store.run(house.dispatcher._next)
        await house.kill()
        heir = await next_life(reopen, house)
        assert await heir.states() == ["unsure", "sent"]
        assert sent_by_carrier(heir) == ["next"]
        assert [(kind, about) for kind, _, _, about in await heir.told("error", "receipt")] == [
            ("error", because("unsure")),
            ("receipt", "s2"),
        ]

    async def test_after_the_carrier_took_it_before_that_was_settled(self, house, reopen):
        house.provider.shut(PEER)
        await house.outbound.accept(outbound("hello"))
        await house.outbound.accept(outbound("next", sid="s2"))
        house.start()
        await house.called(1)
        await house.kill()
        assert sent_by_carrier(house) == ["hello"]
        heir = await next_life(reopen, house)
        assert sent_by_carrier(heir) == ["hello", "next"]
        assert await heir.states() == ["unsure", "sent"]
        assert [kind for kind, *_ in await heir.told()] == ["error", "notice", "receipt"]

    @pytest.mark.usefixtures("impatient")
    async def test_while_the_store_does_not_take_the_outcome(self, house, reopen):
        await house.outbound.accept(outbound("hello"))
        house.store.refuse(10**9, of="_settle")
        house.start()

        async def is_trying():
            return house.store.refused < 10**9

        await house.until(is_trying)
        await house.kill()
        heir = await next_life(reopen, house)
        assert sent_by_carrier(heir) == ["hello"]
        assert await heir.states() == ["unsure"]
        assert [kind for kind, *_ in await heir.told()] == ["error", "notice"]

    async def test_after_it_was_settled(self, house, reopen):
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.kill()
        heir = await next_life(reopen, house)
        assert sent_by_carrier(heir) == ["hello"]
        assert await heir.told() == [TICK]
        assert [row.about for row in await heir.claim()] == ["s1"]

    async def test_after_a_failure_was_settled(self, house, reopen):
        house.provider.script(PEER, Rejected(Reason.INVALID_DESTINATION, "invalid_dst"))
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.kill()
        heir = await next_life(reopen, house)
        assert heir.provider.calls == []
        assert await heir.told() == [("error", FULL, CONTACT, because("invalid_destination"))]

    async def test_between_the_parts_of_a_text(self, house, reopen):
        house.rules = with_line(OWN, can_mms=False)
        house.provider.script(PEER, "a", Deferred(Reason.PROVIDER_DOWN, "down"))
        await house.outbound.accept(outbound("x" * 320 + "y"))
        await house.dispatch()
        await house.kill()
        heir = await reopen()
        async with heir.dispatching():
            await heir.quiet()
            assert heir.provider.calls == []  # the back-off outlives the kill
            await heir.later(seconds=5)
        assert [part.n for part in heir.provider.calls] == [2, 3]
        assert await heir.told() == [TICK]

    async def test_a_hold_outlives_the_kill(self, house, reopen):
        house.provider.script(PEER, Deferred(Reason.FUNDS, "funds", hold=Hold.ACCOUNT))
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.kill()
        heir = await reopen()
        async with heir.dispatching():
            await heir.quiet()
            assert heir.provider.calls == []
            await heir.later(seconds=20)
        assert await heir.states() == ["sent"]
        assert [(kind, to) for kind, to, *_ in await heir.told()] == [
            ("notice", ADMIN),
            ("notice", ADMIN),
            ("receipt", FULL),
        ]

    async def test_a_stanza_repeated_to_the_next_life_is_the_same_text(self, house, reopen):
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.kill()
        heir = await reopen()
        await heir.outbound.accept(outbound("hello"))
        await heir.dispatch()
        assert heir.provider.calls == []
        assert await heir.told() == [TICK]

    async def test_a_kill_at_any_statement_of_the_settling_tells_once_in_the_end(self, house, reopen):
        """Broken at each statement in turn, the transaction leaves nothing behind, and the last life ends it."""
        await house.outbound.accept(outbound("hello"))
        part = (await house.store.run(house.dispatcher._next)).part
        for statement in range(1, 100):
            house.store.break_at(statement, of="_settle")
            try:
                await settle(house.desk, part, "pid-1", lambda: 0.0)
            except StoreUnavailable:
                assert await house.states() == ["sending"]
                assert await house.told() == []
            else:
                break
        assert statement > 5
        assert await house.states() == ["sent"]
        assert await house.told() == [TICK]

    async def test_many_kills_in_the_middle_of_everything(self, house, reopen):
        """Twelve texts to three numbers, a kill after each call: each text is sent at most once and told once."""
        peers = [f"+1555987100{n}" for n in range(3)]
        for n in range(12):
            await house.accept(f"text {n}", to=peers[n % 3])
        carrier, life = [], house
        for _ in range(20):
            for peer in peers:
                life.provider.shut(peer)
            await life.reconciler.look()
            if set(await life.states()) <= {"sent", "unsure"}:
                break
            life.start()
            await life.called(1)
            life.provider.open(life.provider.calls[0].peer)

            async def has_settled(life=life):
                return "sent" in await life.states() or len(life.provider.calls) > 1

            await life.until(has_settled)
            await life.kill()
            carrier += sent_by_carrier(life)
            life = await reopen()
        assert sorted(carrier) == sorted(set(carrier))
        assert set(await life.states()) <= {"sent", "unsure"}
        assert len(await life.told("receipt", "error")) == 12


class TestInbound:
    async def test_before_the_commit_the_carrier_repeats(self, house, reopen):
        house.store.refuse(1)
        with pytest.raises(StoreUnavailable):
            await house.take(inbound("hello"))
        await house.kill()
        heir = await reopen()
        await heir.take(inbound("hello"))
        assert await heir.told() == [("text", JOHN, PEER, "hello")]

    async def test_after_the_commit_before_the_carrier_was_answered(self, house, reopen):
        event = inbound("look", did=SHARED, kind=Kind.MMS, media=("https://media.example.com/1.jpg",))
        await house.take(event)
        await house.kill()
        heir = await reopen()
        await heir.take(event)
        assert [(kind, to) for kind, to, *_ in await heir.told()] == [
            ("text", JOHN),
            ("media", JOHN),
            ("text", ANN),
            ("media", ANN),
        ]

    async def test_after_the_bytes_were_fixed_before_the_pong(self, house, reopen):
        await house.take(inbound("hello"))
        before = await house.claim()
        await house.kill()
        heir = await reopen()
        await heir.handover.put_back(())
        (row,) = await heir.hand_all()
        assert (row.stanza_id, row.xml) == (before[0].stanza_id, before[0].stanza_id.encode())
        assert await heir.claim() == []

    async def test_after_the_pong(self, house, reopen):
        await house.take(inbound("hello"))
        await house.hand_all()
        await house.kill()
        heir = await reopen()
        assert await heir.claim() == []

    async def test_a_report_before_the_kill_is_not_lost(self, house, reopen):
        await house.outbound.accept(outbound("hello"))
        await house.dispatch()
        await house.take(report("pid-1", ReportState.FAILED))
        await house.kill()
        heir = await reopen()
        assert [kind for kind, *_ in await heir.told()] == ["receipt", "error", "notice"]
