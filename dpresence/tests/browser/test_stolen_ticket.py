"""A ticket that somebody has copied: the client that loses its device to the copy shows its own next one (section 2, decision 0011)."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Device, Person

from .conftest import Scene, Steps
from .sidebar import Stage
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


@pytest.mark.slow
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


KEPT = "return localStorage.getItem(`dpresence ${document.querySelector('meta[name=account]').content} ticket`)"


def steal_and_use(stage: Stage) -> tuple[Device, str]:
    """Copy the page's next ticket and take its device with it; return the thief's channel and the next ticket it was given."""
    stolen = stage.browser.run(KEPT)
    thief = Device(stage.sue)
    device = stage.sue.call("GET", "/devices")["devices"][0]["device"]
    answer = thief.ask(email=stage.sue.email, assertion=stolen, status="online", device=device, ticket=True)
    assert answer["result"] == "OK"
    stage.browser.wait(lambda it: "Another program has connected" in it.text())
    return thief, answer["ticket"]


def assert_thrown_out(stage: Stage, thief: Device, ticket: str) -> None:
    assert thief.wait_closed()[0] in (4009, 4010)
    with Device(stage.sue) as again:
        assert again.ask(email=stage.sue.email, assertion=ticket, status="online", device="thief")["errno"] == 34


@pytest.mark.slow
@pytest.mark.browser
def test_a_thief_of_a_ticket_is_thrown_out_when_the_page_is_loaded_anew(browser: Browser, scene: Scene) -> None:
    stage = Stage(browser, scene)
    thief, ticket = steal_and_use(stage)
    browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    assert_thrown_out(stage, thief, ticket)
    stage.service.close()


@pytest.mark.slow
@pytest.mark.browser
def test_a_thief_of_a_ticket_is_thrown_out_when_another_tab_connects_again(browser: Browser, scene: Scene) -> None:
    stage = Stage(browser, scene)
    browser.tab()
    browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    thief, ticket = steal_and_use(stage)
    browser.click("Connect again")
    browser.wait(lambda it: stage.connection == "Connected")
    assert_thrown_out(stage, thief, ticket)
    stage.service.close()


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_that_is_loaded_anew_shows_the_ticket_it_kept(browser: Browser, scene: Scene) -> None:
    stage = Stage(browser, scene)
    before = browser.run(KEPT)
    browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    assert before.startswith("ticket:") and browser.run(KEPT) not in (before, None)
    assert len(stage.sue.call("GET", "/account")["tickets"]) == 1, "it asked for no ticket of another family"
    stage.service.close()
