"""presence.js: what it does after what, without a browser (sections 3 and 7); and in one, against a service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpresence.tests.live.clients import Person, activate
from dpresence.tests.live.warm import running

from .conftest import Scene, Steps
from .support import Browser, Website

ROOT = Path(__file__).parents[3]


# -- what a close code asks for


def documented() -> dict[int, str]:
    """Return what to do after each close code, as section 7 has it."""
    table = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").partition("### Close codes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\d, ]+) \|.*\| (.*) \|$", table, re.MULTILINE)
    return {int(code): what for codes, what in rows for code in codes.split(",")}


def test_each_close_code_is_obeyed_as_the_protocol_says(steps: Steps) -> None:
    codes = documented()
    assert len(codes) > 15
    found = steps(f"return {list(codes)}.map(afterClose)")
    words = {"do not come back": "stop", "come back, with": "later", "come back soon": "soon", "as you like": "soon"}
    expected = [next(verb for start, verb in words.items() if what.startswith(start)) for what in codes.values()]
    assert found == ["renew" if code == 4202 else verb for code, verb in zip(codes, expected, strict=True)]


@pytest.mark.parametrize(
    ("code", "what"), [(4050, "stop"), (4150, "later"), (4250, "soon"), (1001, "soon"), (1006, "soon"), (1012, "soon")]
)
def test_codes_that_are_not_made_yet_go_by_their_range(steps: Steps, code: int, what: str) -> None:
    assert steps(f"return afterClose({code})") == what


def test_backoff_grows_with_full_jitter_up_to_a_minute_after_what_was_asked(steps: Steps) -> None:
    script = "return [0, 1, 5, 6, 50].map((n) => [backoff(n, 0, () => 0), backoff(n, 0, () => 1), backoff(n, 7, () => 0.5)])"
    assert steps(script) == [[0, 1, 7.5], [0, 2, 8], [0, 32, 23], [0, 60, 37], [0, 60, 37]]


def test_a_reason_says_how_long_to_wait(steps: Steps) -> None:
    assert steps('return ["the server is stopping; retry_after=1", "x, retry_after=30", "", "retry_after=x"].map(retryAfter)') == [
        1,
        30,
        0,
        0,
    ]


# -- a channel


def test_the_first_frame_signs_in_with_all_that_is_needed(steps: Steps) -> None:
    sent = steps('proofs.push("A"); channel.start(); await signed(); return [last().url, last().sent]')
    frame = {
        "email": "ann@example.org",
        "status": "online",
        "assertion": "A",
        "device": "lap",
        "ack": True,
        "ticket": True,
        "id": "sign-in",
    }
    assert sent == ["ws://x/presence", [frame]]


def test_it_says_how_it_is_and_counts_the_seconds(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed("T");
        await end(4200, "the server is stopping; retry_after=3"); await pass(3.4);
        await signed(); await pass(0); channel.stop();
        return [states.map(({state, seconds}) => seconds ? `${state} ${seconds}` : state), channel.state, sockets.length];
    """
    waited = ["connecting", "connected", "waiting 4", "waiting 3", "waiting 2", "waiting 1"]
    states, state, sockets = steps(script.replace("pass(3.4)", "pass(3.6)"))
    assert states == [*waited, "connecting", "connected", "stopped"] and sockets == 2
    assert state == {"state": "stopped", "code": 1000, "reason": "stopped"}


def test_a_ticket_spares_an_assertion_until_the_next_one_is_here(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed("T1");
        await end(1006); await pass(1); last().onopen();  // the answer gets lost
        await end(1006); await pass(2); await signed("T2");
        await end(1006); await pass(3); last().onopen(); await say({result: "KO", errno: 34, error: "no", id: "sign-in"});
        await pass(4); await signed("T3");
        await end(4202); await pass(8); last().onopen();  // the session has ended: a ticket would not help
        return [sockets.map(({sent}) => sent[0].assertion), asked()];
    """
    assert steps(script) == [["A", "T1", "T1", "T2", "A", "A"], 3]


def test_failures_in_a_row_wait_longer_and_a_good_connection_starts_anew(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await settle(); const waits = [];
        for (let n = 0; n < 9; n++) { await end(1006); waits.push(channel.state.seconds); await pass(channel.state.seconds); }
        await signed(); await pass(40); await end(4201); waits.push(channel.state.seconds);
        await pass(1); await signed(); await end(1013); waits.push(channel.state.seconds);
        return [waits, most()];
    """
    assert steps(script) == [[1, 1, 2, 4, 8, 16, 30, 30, 30, 1, 4], 1], "with one timer, ever"


@pytest.mark.parametrize("code", [4001, 4003, 4009, 4010, 4013, 1002, 1009])
def test_it_does_not_come_back_when_that_makes_no_sense(steps: Steps, code: int) -> None:
    script = f'proofs.push("A"); channel.start(); await signed(); await end({code}, "why"); await pass(999)'
    found = steps(f"{script}; return [channel.state, sockets.length, timers()]")
    assert found == [{"state": "stopped", "code": code, "reason": "why"}, 1, 0]


def test_nobody_to_sign_in_ends_it_and_start_tries_again(steps: Steps) -> None:
    script = """
        proofs.push(null, "A"); channel.start(); await settle(); const before = channel.state;
        channel.start(); await signed(); return [before, channel.state];
    """
    assert steps(script) == [{"state": "stopped", "code": 4009, "reason": "signed out"}, {"state": "connected"}]


def test_the_wait_that_a_sign_in_asks_for_is_obeyed(steps: Steps) -> None:
    script = """
        proofs.push(Object.assign(new Error("slow down"), {retryAfter: 20}), "A"); channel.start(); await pass(19);
        const before = channel.state; await pass(9); await signed(); return [before.state, before.reason, asked()];
    """
    assert steps(script) == ["waiting", "slow down", 2]


def test_assertions_that_are_refused_again_and_again_end_it(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start();
        for (let n = 0; n < 3; n++) { await settle(); await say({result: "KO", errno: 34, error: "no", id: "sign-in"}); await pass(3); }
        await pass(99); return [channel.state, sockets.length];
    """
    assert steps(script) == [{"state": "stopped", "code": 4009, "reason": "no", "errno": 34}, 3]


def test_a_refusal_that_passes_is_waited_for(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await settle();
        await say({result: "KO", errno: 117, error: "slow", retry_after: 9, id: "sign-in"});
        const {seconds} = channel.state; await pass(8.9); const early = sockets.length; await pass(5);
        return [seconds, early, sockets.length];
    """
    assert steps(script) == [13, 1, 2]


def test_an_identity_that_ended_is_renewed_on_the_same_connection(steps: Steps) -> None:
    script = """
        proofs.push("A", "B"); channel.start(); await signed("T"); channel.setStatus("offline");
        await say({result: "KO", errno: 130, error: "ended", id: "status"});
        await say({result: "OK", id: "renewal"}); return [last().sent.slice(1), sockets.length, channel.state];
    """
    renewal = {"email": "ann@example.org", "status": "offline", "assertion": "B", "ticket": True, "id": "renewal"}
    assert steps(script) == [[{"email": "ann@example.org", "status": "offline", "id": "status"}, renewal], 1, {"state": "connected"}]


def test_an_identity_that_ended_ends_it_when_nobody_is_signed_in_any_more(steps: Steps) -> None:
    script = """
        proofs.push("A", null); channel.start(); await signed("T"); await pass(60);
        await say({result: "KO", errno: 130, error: "ended", id: "status"}); return [channel.state, last().code];
    """
    assert steps(script) == [{"state": "stopped", "code": 4009, "reason": "signed out"}, 1000]


def test_a_status_said_while_it_is_away_is_said_when_it_is_back(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); await end(1006); channel.setStatus("unavailable");
        await pass(1); last().onopen(); return last().sent.map(({status}) => status);
    """
    assert steps(script) == ["unavailable"]


def test_a_status_said_while_it_signs_in_is_said_right_after(steps: Steps) -> None:
    script = """
    proofs.push("a1"); channel.start(); await settle(); last().onopen(); channel.setStatus("unavailable");
    await say({result: "OK", id: "sign-in"});
    return last().sent.map(({id, status}) => [id, status])"""
    assert steps(script) == [["sign-in", "online"], ["status", "unavailable"]]


def test_a_network_that_is_back_makes_it_ask_at_once_whether_the_connection_lives(steps: Steps) -> None:
    script = """
    proofs.push("a1"); channel.start(); await signed(); await pass(5); await back();
    const sent = last().sent.map(({id}) => id); await pass(16);
    return [sent, states.some(({reason}) => reason === "no answer"), most()]"""
    assert steps(script) == [["sign-in", "status"], True, 1]


def test_a_dead_connection_is_found_by_asking(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); await pass(61); await say({result: "OK", id: "status"});
        const alive = channel.state.state; await pass(59); const count = last().sent.length; await pass(17);
        return [alive, count, sockets.length, sockets[0].code, most()];
    """
    assert steps(script) == ["connected", 2, 2, 1000, 1]


def test_a_network_that_is_back_ends_the_wait_but_not_what_the_service_asked_for(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); await end(1013, "full, retry_after=20");
        await pass(19); await back(); const early = sockets.length; await pass(1.1); await back(); const then = sockets.length;
        channel.stop(); await back(); return [early, then, sockets.length];
    """
    assert steps(script) == [1, 2, 2]


def test_each_notification_is_shown_once_and_acknowledged_until_that_is_heard(steps: Steps) -> None:
    script = """
        const ids = (...all) => ({notifications: all.map((id) => ({id}))});
        proofs.push("A"); channel.start(); await signed();
        await say(ids("a", "b")); await say(ids("c")); await say({result: "OK", id: "ack"});
        await say({result: "KO", errno: 201, error: "away", retry_after: 1, id: "ack"});
        await pass(1.1); shown.push(last().sent.filter(({action}) => action).length); await say(ids("c"));
        await end(1006); await pass(9); await signed();
        return [shown, sockets.map(({sent}) => sent.filter(({action}) => action).map(({notifications}) => notifications))];
    """
    assert steps(script) == [["a", "b", "c", 3], [[["a", "b"], ["c"], ["c"]], [["c"]]]]


def test_a_listener_may_acknowledge_later(steps: Steps) -> None:
    script = """
        channel.addEventListener("notification", (event) => event.preventDefault());
        proofs.push("A"); channel.start(); await signed(); await say({notifications: [{id: "a"}]}); await say({notifications: [{id: "a"}]});
        const before = last().sent.length; channel.acknowledge("a"); return [before, last().sent.at(-1).notifications, shown];
    """
    assert steps(script) == [1, ["a"], ["a"]]


# -- in a browser

CONNECT = """
    const done = arguments[arguments.length - 1];
    import("%s/static/presence.js").then(({PresenceChannel}) => {
      window.seen = []; window.states = [];
      window.channel = new PresenceChannel({email: "%s", device: "page", signIn: async () => "%s"});
      channel.addEventListener("notification", ({detail}) => seen.push(detail.message));
      channel.addEventListener("state", ({detail}) => states.push(detail.state));
      channel.start(); done("");
    }, (error) => done(String(error)));
"""


def connect(browser: Browser, person: Person) -> None:
    """Make the present page a device of somebody."""
    assert browser.run_async(CONNECT % (person.origin, person.email, person.assertion())) == ""


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_is_a_device_with_a_few_lines(browser: Browser, scene: Scene) -> None:
    pat, application = Person(scene.service.origin, "pat@example.org"), scene.application()
    puid = pat.grant(application)
    browser.open(f"{scene.service.origin}/login")
    with application.service() as service:
        connect(browser, pat)
        assert service.next_updates() == [(puid, "online", "explicit")]
        service.notify({"puid": puid, "message": "hello"})
        browser.wait(lambda it: it.run("return seen") == ["hello"])
        browser.wait(lambda it: pat.call("GET", "/account")["notifications"] == [])
        browser.run("channel.setStatus('unavailable')")
        assert service.next_updates() == [(puid, "unavailable", "explicit")]
    assert browser.run("return states") == ["connecting", "connected"]
    assert browser.frames.compare() >= 6, "sign-in, status and acknowledgement with their answers, and a notification"
    browser.assert_quiet()


@pytest.mark.slow
@pytest.mark.browser
def test_the_example_of_the_documentation_works_where_the_origin_is_let_in(browser: Browser, tmp_path: Path) -> None:
    example = re.search(r"```js\n(.*?)```", (ROOT / "docs" / "clients.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    with Website("localhost") as site, running(tmp_path, channels__origins=site.origin) as service:
        rae, application = Person(service.origin, "rae@example.org"), activate(service.origin, site)
        example = example.replace("https://presence.example.org", service.origin).replace("ada@example.org", rae.email)
        site.pages["/"] = f"<!doctype html><title>example</title><p id=state></p><script type=module>{example}</script>"
        site.pages["/assertion"] = rae.assertion()
        browser.open(f"{site.origin}/")
        browser.wait(lambda it: it.text() == "connected")
        with application.service() as app_service:
            app_service.notify({"puid": rae.grant(application), "message": "hello"})
            browser.wait(lambda it: any("hello" in line for line in it.console()))
        assert [one["device"] for one in rae.call("GET", "/devices")["devices"]] == ["chess-page"]
        browser.open("about:blank")
