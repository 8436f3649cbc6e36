"""Pairing against a server that answers as the service may."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dpresence_client import NotConnected, PairedDevice, PairingCodes, PairingFailed, ProtocolError, Refused, finish_pairing

CODES = PairingCodes("d", "WDJB-MJHT", "", "", 600, 5)
PAIRED = (200, {"credential": "device:x", "email": "ada@example.org", "device": "lamp"})


def incomplete(details):
    return 400, {"result": "KO", "errno": 143, "error": f"not complete: {details}", "details": details}


def finish(waits, *answers, codes=CODES):
    """Finish a pairing while the service gives these answers, None for none; ``waits`` gets the waits before each question."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = left.pop(0)
            if answer is not None:
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(json.dumps(answer[1]).encode())

        def log_message(self, *_):
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            return finish_pairing(f"http://127.0.0.1:{server.server_port}", codes, waits.append)
        finally:
            server.shutdown()
            thread.join()


def test_it_asks_until_the_user_has_answered_and_more_rarely_when_it_is_told_so():
    waits = []
    assert finish(waits, incomplete("authorization_pending"), incomplete("slow_down"), PAIRED) == PairedDevice(**PAIRED[1])
    assert waits == [5, 5, 10]


def test_it_survives_a_service_that_does_not_answer_cannot_do_it_or_has_too_much_to_do():
    waits, unavailable = [], (503, {"result": "KO", "errno": 201, "error": "unavailable"})
    busy = (429, {"result": "KO", "errno": 117, "error": "too many requests"})
    assert finish(waits, None, unavailable, (502, {}), busy, PAIRED).credential == "device:x"
    assert waits == [5, 5, 5, 5, 10]


def test_it_fails_once_the_codes_have_expired_and_says_so():
    expired = CODES._replace(expires_in=0)
    with pytest.raises(PairingFailed, match="not complete: expired_token"):
        finish([], incomplete("expired_token"), codes=expired)
    with pytest.raises(NotConnected):
        finish([], None, codes=expired)


def test_it_ends_when_the_user_refuses_and_when_the_service_refuses_the_question():
    with pytest.raises(PairingFailed, match="not complete: access_denied"):
        finish([], incomplete("access_denied"))
    with pytest.raises(Refused) as refused:
        finish([], (400, {"result": "KO", "errno": 107, "error": "device_code: text"}))
    assert refused.value.field == "device_code"


@pytest.mark.parametrize("foreign", [(200, None), (200, []), (200, {}), (200, {"status": "ok"}), (302, {}), (403, {"status": "login"})])
def test_it_asks_again_when_something_other_than_the_service_answers(foreign):
    assert finish(waits := [], foreign, PAIRED).credential == "device:x"
    assert waits == [5, 5]


@pytest.mark.parametrize("foreign", [None, [], {}, {"status": "ok"}])
def test_it_fails_when_something_other_than_the_service_answers_until_the_codes_have_expired(foreign):
    with pytest.raises(ProtocolError):
        finish([], (200, foreign), codes=CODES._replace(expires_in=0))
