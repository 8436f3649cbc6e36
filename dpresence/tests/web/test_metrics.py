"""``GET /__metrics__``: who may read it, what it counts, and that it counts for all processes and costs little."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dpresence.errors import BackendUnavailable
from dpresence.metric_families import FAMILIES
from dpresence.model import GrantSet
from dpresence.tests.web.support import Browser, World, ko, refusal, say

ANN, BOB = "ann@example.org", "bob@example.org"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TOKEN = "t" * 32
NETWORKS = ko(121, "metrics.networks: does not contain your address")


def through(address: str, scheme: str = "http") -> dict[str, object]:
    """Return the refusal of a request that came through a proxy."""
    return ko(121, f"metrics.token: is needed through a proxy; the service sees you as {address}, by {scheme}")


def text(world: World) -> str:
    answer = world.browser()("GET", "/__metrics__", Accept=OPENMETRICS)
    assert answer.status_int == 200, answer.text
    return str(answer.text)


def samples(world: World) -> dict[str, float]:
    """Return every sample as Prometheus reads it, by its name and the values of its labels in the order of the declaration."""
    world.services.operator_metrics.sample()
    order = ["le", *(label for family in FAMILIES for label in family.labels)]
    return {
        " ".join(
            (sample.name.removeprefix("dpresence_"), *(sample.labels[name] for name in sorted(sample.labels, key=order.index)))
        ): sample.value
        for family in text_string_to_metric_families(text(world))
        for sample in family.samples
    }


# -- who may read


def test_a_program_on_this_machine_reads_them(shared: World) -> None:
    answer = shared.browser()("GET", "/__metrics__", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.endswith("# EOF\n")
    assert shared.browser()("GET", "/__metrics__").headers["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=new", "text/plain;version=1.x", "text/plain;version="])
def test_a_version_that_is_no_number_is_answered_in_the_format_of_older_scrapers(shared: World, accept: str) -> None:
    answer = shared.browser()("GET", "/__metrics__", Accept=accept)
    assert (answer.status_int, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


@pytest.mark.parametrize("address", ["198.51.100.7", "10.0.0.1", "2001:db8::1"])
def test_no_other_address_reads_them(shared: World, address: str) -> None:
    assert refusal(shared.browser(address)("GET", "/__metrics__")) == (403, NETWORKS)


def test_the_addresses_may_be_others(make_world: Callable[..., World]) -> None:
    world = make_world(metrics__networks="10.0.0.0/8 2001:db8::7")
    allowed = {address: world.browser(address)("GET", "/__metrics__").status_int for address in ("10.1.2.3", "2001:db8::7", "127.0.0.1")}
    assert allowed == {"10.1.2.3": 200, "2001:db8::7": 200, "127.0.0.1": 403}


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto", "Forwarded", "Via", "X_Real_IP"])
def test_a_request_with_a_header_of_a_proxy_is_refused(shared: World, name: str) -> None:
    assert refusal(shared.browser()("GET", "/__metrics__", **{name: "127.0.0.1"})) == (403, through("127.0.0.1"))


def test_a_request_for_the_public_name_is_refused_because_a_proxy_may_add_no_header(make_world: Callable[..., World]) -> None:
    world = make_world(identity__development="false", outbound__allow_loopback="false", identity__audience="https://presence.example.org")
    for host in ("presence.example.org", "PRESENCE.example.org:443"):
        assert refusal(world.browser()("GET", "/__metrics__", Host=host)) == (403, through("127.0.0.1"))
    for host in ("127.0.0.1:8282", "[::1]:8282", "[1]", "[:::]:1", "[.]"):
        assert world.browser()("GET", "/__metrics__", Host=host).status_int == 200, host


def test_a_request_for_the_public_address_is_refused_too(make_world: Callable[..., World]) -> None:
    audience = "https://[2001:db8::1]"
    world = make_world(identity__development="false", outbound__allow_loopback="false", identity__audience=audience)
    for host in ("[2001:db8::1]", "[2001:DB8::1]:443"):
        assert refusal(world.browser()("GET", "/__metrics__", Host=host)) == (403, through("127.0.0.1"))


def test_a_token_reads_them_from_anywhere(make_world: Callable[..., World]) -> None:
    world = make_world(metrics__token=TOKEN, metrics__networks="")
    assert refusal(world.browser()("GET", "/__metrics__")) == (403, NETWORKS)
    far = world.browser("198.51.100.7")
    assert far("GET", "/__metrics__", Authorization=f"Bearer {TOKEN}", X_Forwarded_For="198.51.100.7").status_int == 200
    for wrong in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer é"):
        assert refusal(far("GET", "/__metrics__", Authorization=wrong)) == (403, ko(121, "Authorization: not metrics.token"))


def test_without_a_token_in_the_ini_an_empty_one_reads_nothing(shared: World) -> None:
    answer = shared.browser("198.51.100.7")("GET", "/__metrics__", Authorization="Bearer ")
    assert refusal(answer) == (403, ko(121, "Authorization: not metrics.token"))


# -- what they say


def test_every_metric_is_there_and_well_formed(world: World) -> None:
    app = world.application()
    world.grant(ANN, app)
    world.service(app)
    world.device(ANN)
    world.services.operator_metrics.ping_backends()
    world.services.operator_metrics.count_waiting()
    world.services.operator_metrics.sample()
    found = {family.name for family in text_string_to_metric_families(text(world))}
    assert found == {family.exposed.removesuffix("_total").removesuffix("_info") for family in FAMILIES}


def test_names_follow_the_conventions_of_prometheus(shared: World) -> None:
    promtool = shutil.which("promtool")
    if promtool is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed")
    assert promtool is not None
    body = shared.browser()("GET", "/__metrics__").body
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_no_label_names_a_person_or_a_device(world: World) -> None:
    app = world.application()
    puid = world.grant(ANN, app)
    world.service(app)
    phone = world.device(ANN, device="annsphone")
    say(phone, "unavailable")
    world.services.operator_metrics.sample()
    shown = text(world)
    user = phone.channel.session.user
    for secret in ("ann@", "example.org", "annsphone", puid, app.id, app.key, user, world.proof.domain):
        assert secret not in shown, secret


def test_devices_updates_and_feeds_are_counted(world: World) -> None:
    app = world.application()
    world.grant(ANN, app)
    service = world.followed(app)
    phone = world.device(ANN)
    say(phone, "unavailable")
    say(phone, "unavailable")
    world.settle()
    assert service.take()
    found = samples(world)
    assert [found[key] for key in ("devices", "users", "application_channels", "sockets device signed_in")] == [1, 1, 1, 1]
    assert found["status_changes_total unavailable"] == 1
    assert found["updates_sent_total unavailable explicit"] == 1
    assert found["updates_sent_total online explicit"] == 1
    assert (found["feed_starts_total snapshot"], found["feed_starts_total replayed"]) == (1, 0)
    assert (found["connects_total new"], found["sign_ins_total key ok"]) == (1, 1)
    assert found["verification_seconds_count browserid"] == found["sign_ins_total browserid ok"] > 0
    assert found["backend_seconds_count database read"] > 0 < found["backend_seconds_count database write"]


def test_grace_is_counted_as_saved_lost_or_replaced(world: World) -> None:
    phone = world.device(ANN, device="phone")
    phone.leave()
    phone = world.device(ANN, device="phone")
    world.device(ANN, device="phone")
    world.device(BOB, device="phone").leave()
    world.advance(16)
    found = samples(world)
    assert [found[f"connects_total {how}"] for how in ("new", "resumed", "replaced")] == [2, 1, 1]
    assert (found["devices_lost_total grace"], found["devices_lost_total process"]) == (1, 0)


def test_notifications_are_counted_by_what_became_of_them(make_world: Callable[..., World]) -> None:
    world = make_world(presence__waiting_notifications="2")
    app = world.application()
    puid = world.grant(ANN, app)
    for _ in range(3):
        world.notify(app, {"puid": puid, "message": "hello"})
    world.channel().receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    world.settle()
    found = samples(world)
    counted = {what: found[f"notifications_total {what}"] for what in ("accepted", "delivered", "expired", "dropped")}
    assert counted == {"accepted": 3, "delivered": 2, "expired": 0, "dropped": 1}


def test_entries_waiting_in_the_stores_are_counted_by_one_process_a_minute(
    pair: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    app = one.application()
    puid = one.grant(ANN, app)
    world_of_waiting = ("notifications_waiting", "outbox_entries")
    for number in range(3):
        one.notify(app, {"puid": puid, "message": f"hello {number}"})

    def away(*_: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as cut_off:
        cut_off.setattr(one.registry.backends.tracker, "append_revocation", away)
        one.browser()("DELETE", f"/grant/{app.id}", **one.authorization(ANN))
    for world in pair:
        world.services.operator_metrics.count_waiting()
        world.services.operator_metrics.sample()
    assert (dict(two.services.operator_metrics.waiting), one.services.operator_metrics.waiting.keys()) == ({}, set(world_of_waiting))
    assert [samples(two)[name] for name in world_of_waiting] == [3, 1]


def test_refusals_closes_and_failed_sign_ins_are_counted(world: World) -> None:
    app = world.application()
    world.browser()("GET", "/devices")
    world.browser()("GET", "/devices", Authorization="BrowserID nonsense")
    world.service_channel(app).receive({"action": "auth", "key": "dpk_AAAAAAAAAAAA_" + "A" * 43})
    found = samples(world)
    assert [found[f"refusals_total {errno}"] for errno in (104, 34, 105, 999)] == [1, 1, 1, 0]
    assert found["sign_ins_total key refused"] == 1
    assert found["sign_ins_total none refused"] + found["sign_ins_total browserid refused"] == 1
    assert found["channels_closed_total 4102"] == 0


def test_an_unavailable_backend_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.mailbox, "ping", away)
    world.services.operator_metrics.ping_backends()
    found = samples(world)
    assert [found[f"backend_up {role}"] for role in ("directory", "tracker", "mailbox")] == [1, 1, 0]


# -- several processes


def test_one_answer_has_all_processes_and_no_counter_falls_when_one_ends(
    make_world: Callable[..., World], tmp_path: os.PathLike[str], redis_server: object
) -> None:
    shared = {"directory__url": f"sqlite:///{tmp_path}/shared.db", "tracker": "redis", "redis__url": redis_server.url}  # type: ignore[attr-defined]
    one, two = (make_world(**shared) for _ in range(2))
    for world, email in ((one, ANN), (two, BOB)):
        world.device(email).receive({"email": email, "status": "unavailable"})
        world.services.operator_metrics.sample()
    before = samples(one)
    assert [before[key] for key in ("processes", "devices", "status_changes_total unavailable", "process_starts_total")] == [2, 2, 2, 2]
    assert before["backend_seconds_count redis tracker"] > 0
    two.device(BOB, device="other").receive({"email": BOB, "status": "unavailable"})
    two.services.finish()
    two.close()
    after = samples(one)
    assert (after["processes"], after["devices"]) == (1, 1)
    assert after["status_changes_total unavailable"] == 3
    assert {key for key in before if key.partition(" ")[0].endswith(("_total", "_count", "_bucket")) and after[key] < before[key]} == set()


def test_while_the_tracker_is_away_no_counter_is_shown_rather_than_one_that_fell(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise BackendUnavailable

    world.services.operator_metrics.ping_backends()
    monkeypatch.setattr(world.registry.backends.tracker, "publish", away)
    found = samples(world)
    assert {key for key in found if not key.startswith("build_info")} == {
        f"backend_up {role}" for role in ("directory", "tracker", "mailbox")
    }
    assert [found[f"backend_up {role}"] for role in ("directory", "tracker")] == [1, 0]


# -- what they cost


@pytest.mark.slow
def test_a_scrape_of_a_process_with_20000_devices_takes_less_than_20_ms_of_cpu(world: World) -> None:
    phone = world.device(ANN)
    channel = next(iter(world.services.hub.devices_of(phone.channel.session.user).values()))
    for number in range(20_000):
        world.registry.backends.tracker.connect(f"user-{number}", "phone", f"c{number}", "online", GrantSet(1, ()), 20, 1)
        world.services.hub.join_device(f"user-{number}", "phone", channel)
    world.services.operator_metrics.sample()
    browser = world.browser()
    spent = [_cpu(browser) for _ in range(5)]
    assert samples(world)["devices"] == 20_001
    assert min(spent) < 0.020, spent


def _cpu(browser: Browser) -> float:
    gc.collect()
    began = time.process_time()
    assert browser("GET", "/__metrics__", Accept=OPENMETRICS).status_int == 200
    return time.process_time() - began
