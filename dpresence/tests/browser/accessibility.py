"""Pages that everybody can use: axe-core finds nothing wrong, and nothing is wider than the window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .support import Browser

PICTURES = "PICTURES" in os.environ
"""Set by ``make pages``: keep pictures of the pages."""
Look = tuple[int, bool]
"""A width of the window, in CSS pixels, and whether the scheme is dark."""
WIDTHS = {320: "narrow", 1440: "wide"}
PICTURED: tuple[Look, ...] = ((320, True), (1440, False))
"""Each width and each scheme once; the pictures show these."""
OTHERS: tuple[Look, ...] = ((320, False), (1440, True))
TOO_WIDE = "const {scrollWidth, clientWidth} = document.documentElement; return scrollWidth - clientWidth"
CUT = """
    document.getElementById("override-for").hidden = false;
    return [...document.querySelectorAll("select")].flatMap((each) => {
      const whole = each.cloneNode(true);
      whole.style = "position: absolute; flex: none; width: max-content; max-width: none";
      each.after(whole);
      const wanted = whole.offsetWidth;
      whole.remove();
      return wanted > each.offsetWidth ? [`${each.textContent}: ${wanted} of ${each.offsetWidth} px`] : [];
    });
"""
"""Menus that are narrower than their longest choice."""
AXE = """
    const [done] = [...arguments].slice(-1);
    const frame = () => new Promise(requestAnimationFrame);
    frame().then(frame).then(() => {
      document.documentElement.classList.remove("settling", "refocused");  // buttons are dim for a second, after a resize too
      document.getAnimations().forEach((one) => one.finish());
    }).then(() => axe.run(document, {resultTypes: ["violations"]})).then(({violations, passes}) => done([
      passes.length,
      violations.flatMap(({id, help, nodes}) => nodes.map(({target, failureSummary}) => `${id} (${help}) at ${target}: ${failureSummary}`)),
    ]), (error) => done([0, [String(error)]]));
"""


@dataclass(frozen=True)
class Axe:
    """Checks of the page that a browser shows.

    :param source: that of axe-core.
    :param looks: how to look at the page.
    """

    source: str
    looks: Sequence[Look]

    def check(self, browser: Browser, name: str) -> None:
        """Fail unless the page is usable as it stands; keep pictures of it.

        :param name: what its pictures are called.
        """
        browser.run(self.source)
        wrong = [problem for width, dark in self.looks for problem in self._problems(browser, name, width, dark)]
        browser.look()
        browser.run("dispatchEvent(new Event('resize'))")  # the check has enabled buttons before their second was over
        assert not wrong, "\n".join(wrong)

    def _problems(self, browser: Browser, name: str, width: int, dark: bool) -> list[str]:
        browser.look(width, dark)
        passed, found = browser.run_async(AXE)
        assert passed > 5 or found, "axe looked at nothing"
        if (over := browser.run(TOO_WIDE)) > 0:
            found.append(f"{over} px too wide")
        if PICTURES and (width, dark) in PICTURED:
            browser.screenshot(f"{name}-{WIDTHS[width]}")
        return [f"{WIDTHS[width]}, {'dark' if dark else 'light'}: {one}" for one in found]
