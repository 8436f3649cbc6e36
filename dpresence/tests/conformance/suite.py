"""Runs the fuzzing client of autobahntestsuite, which is Python 2, on Python 3.11 or 3.12: ``suite.py SPEC RESULTS``.

It runs in an environment of its own (``make conformance`` makes it) and needs nothing of dpresence. The suite's modules
are translated in memory as they are imported; nothing of it is changed on disk. Its byte strings stay ``str`` with one
character for each byte, and become ``bytes`` only where they meet Autobahn|Python.
"""

from __future__ import annotations

import binascii
import builtins
import importlib.machinery
import json
import re
import sys
import types
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
from lib2to3 import refactor  # noqa: E402

ROOT = next(path for path in (Path(entry, "autobahntestsuite") for entry in sys.path) if path.is_dir())
KEPT_FIXES = {"import", "imports", "imports2", "unicode"}
"""Translations that would do harm: modules import their neighbours by bare name, and byte strings stay str."""

REPORTED = ("behavior", "behaviorClose", "remoteCloseCode", "result", "resultClose")


def to_bytes(text):
    return text if isinstance(text, bytes | bytearray) else (text or "").encode("latin-1")


def to_text(data):
    return data if isinstance(data, str) else bytes(data).decode("latin-1")


class Translator(importlib.machinery.SourceFileLoader):
    """Loads a module of the suite, translated."""

    fixes = [name for name in refactor.get_fixers_from_package("lib2to3.fixes") if name.rpartition("fix_")[2] not in KEPT_FIXES]
    tool = refactor.RefactoringTool(fixes)

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(str(self.tool.refactor_string(self.prepare(path), path)), path)

    def prepare(self, path):
        """Return the source with what the general translation does not know of replaced."""
        source = Path(path).read_bytes().decode("latin-1").replace("\r\n", "\n")
        source = re.sub(r"^#.*coding[=:].*$", "#", source, flags=re.M)
        source = source.replace("(object, Case, )", "(Case, )")  # no consistent order of bases once classes are new-style
        source = source.replace("binascii.b2a_hex(", "hex_of(").replace("unichr(", "chr(")
        source = source.replace("from case9_9_1 import *", "")  # never runs, and does not translate
        if Path(path).parent.name == "case":
            source = re.sub(r"^from case import", "from case.case import", source, flags=re.M)
        if Path(path).name == "case10_1_1.py":
            source = source.replace("len(self.payload) / ", "len(self.payload) // ")
        return source + "\n"


def find(path):
    """Be the finder for the suite's own folders (a hook of ``sys.path_hooks``)."""
    if not path.startswith(str(ROOT)):
        raise ImportError
    return importlib.machinery.FileFinder(path, (Translator, [".py"]))


def load():
    """Return the suite's module ``fuzzing``, ready to run."""
    builtins.hex_of = lambda data: binascii.b2a_hex(to_bytes(data)).decode()
    package = types.ModuleType("autobahntestsuite")
    package.version = "translated"
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda _, name: str(ROOT / name)
    sys.modules.update(autobahntestsuite=package, pkg_resources=resources)
    sys.path_hooks.insert(0, find)
    sys.path[:0] = [str(ROOT), str(ROOT / "case")]
    bridge_validator()
    import fuzzing
    from case.case import Case

    Case.compare = lambda self, one, other: one == other
    bridge_logs(fuzzing)
    bridge_protocol(fuzzing)
    return fuzzing


def bridge_validator():
    from autobahn.websocket import utf8validator

    class Validator(utf8validator.Utf8Validator):
        def validate(self, data):
            return super().validate(to_bytes(data))

    utf8validator.Utf8Validator = Validator


def bridge_logs(fuzzing):
    """Keep the counts of frames, which cases look at, and no logs of bytes."""

    def count(name):
        def log(self, header, *_, **__):
            counts = getattr(self, name)
            counts[header.opcode] = counts.get(header.opcode, 0) + 1

        return log

    base = fuzzing.FuzzingProtocol
    base.logRxOctets = base.logTxOctets = lambda self, *_, **__: None
    base.logRxFrame, base.logTxFrame = count("rxFrameStats"), count("txFrameStats")
    fuzzing.asciiLogData = lambda data, *_, **__: to_text(data)[:64]
    fuzzing.binLogData = lambda data, *_, **__: ""


def bridge_protocol(fuzzing):
    """Turn str into bytes where the suite's protocol meets Autobahn|Python's, and back."""

    class Protocol(fuzzing.FuzzingClientProtocol):
        def onMessage(self, payload, isBinary):
            fuzzing.FuzzingProtocol.onMessage(self, to_text(payload), isBinary)

        def onPong(self, payload):
            fuzzing.FuzzingProtocol.onPong(self, to_text(payload))

        def sendFrame(self, opcode, payload=b"", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
            payload = to_bytes(payload)
            if payload_len is not None:  # repeat it to that length; Autobahn's own way divides as Python 2 did
                payload = (payload * (payload_len // len(payload) + 1))[:payload_len] if payload_len else b""
            mask = to_bytes(mask) if mask else None
            super().sendFrame(opcode=opcode, payload=payload, fin=fin, rsv=rsv, mask=mask, chopsize=chopsize, sync=sync)

        def sendMessage(self, payload, isBinary=False, **options):
            super().sendMessage(to_bytes(payload), isBinary, **options)

        def sendMessageFrameData(self, payload, sync=False):
            return super().sendMessageFrameData(to_bytes(payload), sync)

        def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
            super().sendCloseFrame(code, None if reasonUtf8 is None else to_bytes(reasonUtf8), isReply)

    fuzzing.FuzzingClientProtocol = Protocol


def main(spec, results):
    """Run the cases of ``spec`` and write what came of each to ``results``, by its number."""
    fuzzing = load()
    from twisted.internet import reactor

    def report(self, *_, **__):
        (cases,) = self.agents.values() or ({},)
        found = {case: {key: result[key] for key in REPORTED} for case, result in cases.items()}
        Path(results).write_text(json.dumps(found, indent=1, sort_keys=True, default=str))

    fuzzing.FuzzingClientFactory.createReports = report
    fuzzing.startClient(json.loads(Path(spec).read_text()), False)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
