"""A scorer's side of model calls, and the broker that holds the model: counted, capped, kept, replayed."""

import asyncio
import contextlib
import json
import select
import socket
import threading
from typing import Any

import pytest

from toprope.errors import ModelSpent, NoAnswer, NoReply, RunError
from toprope.models import provider
from toprope.models.broker import Broker, discard
from toprope.models.limits import QuestionLimiter, key
from toprope.models.messages import Message, Question, Rejected, Reply, Told
from toprope.protocols import ModelUse
from toprope.sandbox.job import QuestionRefused

USE = ModelUse(calls=2, prompt_bytes=100, reply_tokens=50)


def raw(text, sample=0, role="user"):
    return json.dumps([[{"role": role, "content": text}], sample]).encode()


def asking():
    heard: list[Reply] = []

    def pass_on(question):
        heard.append(question)
        return Reply(b"", f"to {question.messages[0].content}", 1)

    return QuestionLimiter(USE, pass_on), heard


def test_calls_are_counted_per_draw_and_variant():
    ask, heard = asking()
    for variant in (0, 1):
        for name in "ab":
            assert ask(raw(name), variant) == f"to {name}"
        with pytest.raises(QuestionRefused, match="2 calls on a draw"):
            ask(raw("c"), variant)  # whatever its neighbours left unused, or it would score otherwise alone
    ask.begin()
    assert ask(raw("c"), 0) == "to c"
    assert len(heard) == 5


def test_the_same_question_is_asked_once_and_another_sample_anew():
    ask, heard = asking()
    assert [ask(raw("a"), 0), ask(raw("a"), 0), ask(raw("a", 1), 0)] == ["to a"] * 3
    assert [q.sample for q in heard] == [0, 1]


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b"[[],0]",
        raw("a", -1),
        raw("a", 2**31),
        raw("a", role="tool"),
        raw("x" * 101),
        b"[" * 5000,
        json.dumps([[{"role": "user", "content": ""}] * 30_000, 0]).encode(),  # no byte of content, and a cost each
        json.dumps([[{"role": "user", "content": "a", "name": "b"}], 0]).encode(),
        json.dumps([[{"role": "user", "content": 3}], 0]).encode(),
        b'[[{"role": "user", "content": "\\ud800"}], 0]',
    ],
)
def test_what_is_no_question_is_refused_and_passed_on_to_nobody(question):
    ask, heard = asking()
    with pytest.raises(QuestionRefused, match="model: "):
        ask(question, 0)
    assert heard == []


def question(text, sample=0):
    return Question([Message("user", text)], sample)


def tell(text="yes", tokens=10, after=0.0):
    calls = []

    async def provider(asked, most):
        calls.append(asked)
        await asyncio.sleep(after)
        return Told(text, tokens, 0.5)

    return provider, calls


def collect(broker, n):
    found: list[tuple[Any, Reply | NoAnswer]] = []
    while len(found) < n:
        assert select.select([broker], [], [], 10)[0], "no answer in time"
        found += broker.answers()
    return found


def test_replies_are_kept_and_heard_before_they_are_handed_on():
    provider, calls = tell(after=0.05)
    heard: list[Reply] = []
    broker = Broker("p/m", USE, provider, keep=heard.append)
    for who in ("one", "two"):
        broker.ask(question("a"), who)  # two scorers at the same moment: one call
    assert [(w, r.text) for w, r in collect(broker, 2)] == [("one", "yes"), ("two", "yes")]
    broker.ask(question("a"), "three")
    assert collect(broker, 1)[0][0] == "three"
    assert (len(calls), len(heard), broker.spent, broker.asked) == (1, 1, 10, 3)
    again = Broker("p/m", USE, None, known=heard)
    again.ask(question("a"), "four")
    assert collect(again, 1)[0][1] == heard[0]
    with pytest.raises(NoReply, match="p/m"):
        again.ask(question("a", 1), "five")
    other = Broker("p/n", USE, None, known=heard)
    with pytest.raises(NoReply):
        other.ask(question("a"), "six")  # another model's words do not answer for this one
    for b in (broker, again, other):
        b.close()
        b.close()


def test_the_cap_holds_also_for_what_is_under_way():
    provider, calls = tell(tokens=60, after=0.2)
    one = 5 + 4 + 16 + USE.reply_tokens  # bytes of the question and what a message may add, and the longest reply
    broker = Broker("p/m", USE, provider, tokens=2 * one)
    broker.ask(question("aaaaa"), 1)
    broker.ask(question("bbbbb"), 2)
    with pytest.raises(ModelSpent, match="candidate-tokens"):
        broker.ask(question("ccccc"), 3)
    collect(broker, 2)
    assert len(calls) == 2
    assert broker.spent <= 2 * one
    broker.close()


def test_a_provider_that_fails_is_no_candidates_fault():
    async def broken(asked, most):
        raise ConnectionError("nobody there")

    broker = Broker("p/m", USE, broken)
    broker.ask(question("a"), 1)
    ((who, failed),) = collect(broker, 1)
    assert who == 1
    assert isinstance(failed, RunError)
    assert "p/m gave no answer (ConnectionError)" in str(failed)
    assert "resume" in str(failed)
    broker.close()


def test_a_providers_words_are_said_to_the_operator_only(capfd):
    """They may repeat a key, and the question, which may be of a hidden draw."""

    async def broken(asked, most):
        raise RuntimeError(f"bad key sk-secret; request {asked.messages[0].content}")

    broker = Broker("p/m", USE, broken)
    broker.ask(question("hidden words"), 1)
    ((_, failed),) = collect(broker, 1)
    assert "sk-secret" not in str(failed)
    assert "hidden words" not in str(failed)
    assert "bad key sk-secret" in capfd.readouterr().err
    broker.close()
    broker = Broker("p/m", USE, broken, say=discard)
    broker.ask(question("hidden words"), 1)
    collect(broker, 1)
    assert capfd.readouterr().err == ""
    broker.close()


def test_one_outage_is_told_to_who_asked_and_to_nobody_later():
    """Two scorers ask while the provider is down; the scorer that asks when it is up again gets its answer."""
    down = [True]

    async def provider(asked, most):
        await asyncio.sleep(0.05)
        if down[0]:
            raise ConnectionError("nobody there")
        return Told("yes", 10)

    broker = Broker("p/m", USE, provider)
    broker.ask(question("a"), "one")
    broker.ask(question("b"), "two")
    assert {who for who, said in collect(broker, 2) if isinstance(said, RunError)} == {"one", "two"}
    down[0] = False
    broker.ask(question("c"), "three")
    assert [(who, said.text) for who, said in collect(broker, 1)] == [("three", "yes")]
    broker.close()


def test_a_question_that_the_provider_rejects_is_the_candidates_own_affair():
    """Or anyone could end a climb for good with a question that no provider takes; asking it again costs nothing."""
    calls = []

    async def picky(asked, most):
        calls.append(asked)
        if "bad" in asked.messages[0].content:
            raise Rejected
        return Told("yes", 10)

    heard: list[Reply] = []
    broker = Broker("p/m", USE, picky, keep=heard.append)
    broker.ask(question("bad"), 1)
    ((_, reply),) = collect(broker, 1)
    assert reply.refused
    assert (reply.text, reply.tokens) == ("", 10)  # it took one plain question to rule out an outage
    broker.ask(question("bad"), 2)
    assert collect(broker, 1) == [(2, reply)]
    assert len(calls) == 2
    assert heard == [reply]
    broker.close()
    ask = QuestionLimiter(USE, lambda q: reply)
    with pytest.raises(QuestionRefused, match="does not take this question"):
        ask(raw("bad"), 0)


def test_a_provider_that_rejects_everything_is_an_outage():
    """As one does whose account is empty."""

    async def broke(asked, most):
        raise Rejected

    broker = Broker("p/m", USE, broke)
    broker.ask(question("a"), 1)
    ((_, failed),) = collect(broker, 1)
    assert isinstance(failed, RunError)
    assert broker.spent == 0
    broker.close()


@pytest.mark.parametrize(("tokens", "dollars"), [(-1, 0.0), (10**30, 0.0), (1, -0.5), (1, float("nan"))])
def test_a_bill_that_is_none_is_no_reply(tokens, dollars):
    """Less than nothing would refill the cap, and a ledger that held it would be refused for ever after."""
    heard: list[Reply] = []

    async def provider(asked, most):
        return Told("yes", tokens, dollars)

    broker = Broker("p/m", USE, provider, keep=heard.append)
    broker.ask(question("a"), 1)
    assert isinstance(collect(broker, 1)[0][1], RunError)
    assert (heard, broker.spent) == ([], 0)
    broker.close()


def test_a_reply_that_is_no_text_of_unicode_breaks_nothing():
    provider, _ = tell(text="half \ud800 a pair")
    broker = Broker("p/m", USE, provider)
    broker.ask(question("a"), 1)
    assert collect(broker, 1)[0][1].text == "half ? a pair"
    broker.close()


def test_a_reply_beyond_what_was_allowed_is_cut():
    """A provider may send any amount: it would lie in memory, in every later question's answer and in the ledger."""
    provider, _ = tell(text="x" * (10 << 20))
    heard: list[Reply] = []
    broker = Broker("p/m", USE, provider, keep=heard.append)
    broker.ask(question("a"), 1)
    assert collect(broker, 1)[0][1].text == heard[0].text == "x" * 64 * USE.reply_tokens
    broker.close()


@pytest.mark.parametrize("says", [None, b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n "])
def test_a_provider_that_does_not_end_gave_no_answer(monkeypatch, says):
    """One that takes a question and says nothing, or begins and never ends, holds nobody for ever."""
    monkeypatch.setattr(provider, "LONGEST_S", 1)
    monkeypatch.setattr(provider, "PATIENCE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as kept:
        monkeypatch.setenv("LOCAL_API_KEY", "none")
        monkeypatch.setenv("LOCAL_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}/v1")

        def serve():
            while says is not None:
                with contextlib.suppress(OSError):
                    kept.enter_context(server.accept()[0]).sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        broker = Broker("p/m", USE, provider.inspect_model("openai-api/local/m"))
        broker.ask(question("a"), 1)
        assert isinstance(collect(broker, 1)[0][1], RunError)
        broker.close()


@pytest.mark.parametrize("counted", [None, {}, {"total_tokens": -5}])
def test_a_provider_that_does_not_count_gave_no_bill(counted):
    from inspect_ai.model import ModelUsage

    usage = ModelUsage(**counted) if counted is not None else None
    with pytest.raises(RuntimeError, match="cannot be counted"):
        provider.bill(usage)


def test_a_key_is_of_model_messages_and_sample():
    keys = {key(m, question(t, s)) for m in ("a", "b") for t in ("a", "b") for s in (0, 1)}
    assert len(keys) == 8
    split = Question([Message("user", "a"), Message("user", "b")])
    assert key("m", split) != key("m", question("ab"))
