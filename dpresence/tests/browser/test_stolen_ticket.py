"""A ticket that somebody has copied: the client that loses its device to the copy shows its own next one (section 2, decision 0011)."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Device, Person

from .conftest import Scene, Steps
from .support import Browser

SHOWN = "return sockets.map(({sent}) => sent[0].assertion)"


@pytest.mark.parametrize("code", [4010, 4013, 1009])
def test_the_next_ticket_is_shown_on_return(steps: Steps, code: int) -> None:
    script = f"""
        proofs.push("A"); channel.start(); await signed("T1"); await end({code}, "why"); await pass(99);
        channel.start(); await signed("T2"); channel.stop(); channel.start(); await signed(); {SHOWN};
    """
    assert steps(script) == ["A", "T1", "T2"]


def test_a_ticket_of_a_device_that_was_signed_out_is_thrown_away(steps: Steps) -> None:
    script = f'proofs.push("A"); channel.start(); await signed("T1"); await end(4009, "why"); channel.start(); await signed(); {SHOWN};'
    assert steps(script) == ["A", "A"]


def test_a_ticket_that_was_noticed_as_stolen_leads_to_a_new_sign_in(steps: Steps) -> None:
    script = f"""
        proofs.push("A"); channel.start(); await signed("T1"); await end(4010); channel.start(); await settle(); last().onopen();
        await say({{result: "KO", errno: 34, error: "no", id: "sign-in"}}); await pass(2); await signed("T3");
        shown.push(channel.state.state); {SHOWN}.concat(shown);
    """
    assert steps(script) == ["A", "T1", "A", "connected"]


CONNECT = """
    const done = arguments[arguments.length - 1];
    import("%s/static/presence.js").then(({PresenceChannel}) => {
      window.proofs = ["%s", "%s"]; window.shown = [];
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) { shown.push(JSON.parse(text).assertion); send.call(this, text); };
      window.channel = new PresenceChannel({email: "%s", device: "page", signIn: async () => proofs.shift() ?? null});
      channel.start(); done("");
    }, (error) => done(String(error)));
"""


@pytest.mark.browser
def test_a_thief_of_a_ticket_is_thrown_out_when_the_page_comes_back(browser: Browser, scene: Scene) -> None:
    tess = Person(scene.service.origin, "tess@example.org")
    with Device(tess) as first:
        stolen = first.ask(email=tess.email, assertion=tess.assertion(), status="online", device="page", ticket=True)["ticket"]
    browser.open(f"{scene.service.origin}/login")
    assert browser.run_async(CONNECT % (tess.origin, stolen, tess.assertion(), tess.email)) == ""
    browser.wait(lambda it: it.run("return channel.state.state") == "connected")
    with Device(tess) as thief:
        assert thief.ask(email=tess.email, assertion=stolen, status="online", device="page", ticket=True)["result"] == "OK"
        browser.wait(lambda it: it.run("return channel.state.code") == 4010)
        browser.run("channel.start()")
        assert thief.wait_closed()[0] == 4009
    browser.wait(lambda it: it.run("return channel.state.state") == "connected")
    shown = browser.run("return shown.filter((one) => one)")
    assert shown[0] == stolen and shown[1].startswith("ticket:") and shown[1] != stolen, "its own next ticket first"
    assert not shown[2].startswith("ticket:"), "then a new sign-in"
    browser.open("about:blank")
    browser.assert_quiet()
