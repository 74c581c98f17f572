"""The loop breaker: machines are told from people."""

from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.loop import BURST, Said, is_burst, is_loop, listen_since, mark_of, remember, remembered

SECOND = 1000
START = 1_800_000_000_000


class Chat:
    """One of our numbers and another party, second by second."""

    def __init__(self) -> None:
        self.now, self.carried = START, ""
        self.heard: list[Said] = []
        self.left: list[str] = []

    def hear(self, words: str, after: int = 1) -> None:
        self.now += after * SECOND
        self.heard.append(Said(self.now, mark_of(words)))

    def write(self, words: str, after: int = 1) -> bool:
        """False if the breaker opens."""
        self.now += after * SECOND
        sent, text = remembered(self.carried), Said(self.now, mark_of(words))
        since = listen_since(sent, text)
        heard = [said for said in self.heard if since is not None and said.at > since]
        if is_burst(sent, text) or (since is not None and is_loop(sent, text, heard)):
            return False
        self.carried = remember(sent, text)
        self.left.append(words)
        return True


def test_ten_lines_in_a_row_are_a_person_and_the_eleventh_within_half_a_minute_is_not():
    chat = Chat()
    assert all(chat.write(f"line {n}") for n in range(10))
    assert not chat.write("line 11")
    assert chat.write("later", after=30)


def test_what_says_the_same_to_the_same_is_a_machine():
    chat = Chat()
    for _ in range(3):
        assert chat.write("I am away.", after=20)
        chat.hear("Out of office.", after=20)
    assert not chat.write("I am away.", after=20)


def test_an_echo_is_a_machine():
    chat = Chat()
    for _ in range(3):
        chat.hear("x", after=50)
        assert chat.write("x")
    chat.hear("x", after=50)
    assert not chat.write("x")


def test_a_person_may_say_ok_to_everything():
    chat = Chat()
    for n in range(20):
        chat.hear(f"and {n}?", after=10)
        assert chat.write("ok", after=10)


def test_a_person_may_say_the_same_again_and_again_to_silence():
    chat = Chat()
    assert all(chat.write("hello?", after=20) for _ in range(20))


def test_the_same_after_five_minutes_is_no_sign():
    chat = Chat()
    for _ in range(20):
        chat.hear("good morning", after=60)
        assert chat.write("good morning", after=60)


def test_more_than_five_answers_in_half_a_minute_are_a_machines_whatever_they_say():
    chat = Chat()
    for n in range(5):
        chat.hear(f"word {n}")
        assert chat.write(f"answer {n}")
    chat.hear("word 6")
    assert not chat.write("answer 6")


def test_a_lively_chat_is_none():
    chat = Chat()
    for n in range(40):
        chat.hear(f"word {n}", after=4)
        assert chat.write(f"answer {n}", after=4)


def test_what_is_carried_along_is_short_and_read_back():
    chat = Chat()
    for n in range(100):
        chat.write(f"line {n}", after=10)
    assert len(remembered(chat.carried)) == BURST
    assert remembered("") == ()


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), max_size=80))
def test_never_do_more_than_ten_leave_in_half_a_minute(texts):
    chat, left = Chat(), []
    for after, words in texts:
        if chat.write(words, after=after):
            left.append(chat.now)
    assert all(later - earlier >= 30 * SECOND for earlier, later in zip(left, left[BURST:], strict=False))


@given(st.integers(0, 1), st.booleans())
def test_two_of_us_that_answer_each_other_let_twelve_texts_out_at_the_most(pause, is_echo):
    """Both chats are one: what one of them writes the other hears. Each is quick, or says the same."""
    ours, theirs = Chat(), Chat()
    talking, other, count = ours, theirs, 0
    while True:
        count += 1
        talking.now = other.now = max(talking.now, other.now)
        if not talking.write("echo" if is_echo else f"text {count}", after=pause):
            break
        other.now = talking.now
        other.hear(talking.left[-1], after=1)
        talking, other = other, talking
    assert len(ours.left) + len(theirs.left) <= 12
