"""Elements of a page as a person sees them."""

from __future__ import annotations

from selenium.webdriver import Chrome
from selenium.webdriver.remote.webelement import WebElement

# Text as a person reads it, and whether there is any: in WebDriver's way, each takes ten times the CPU time.
SHOWN = "arguments[0].checkVisibility({visibilityProperty: true})"
READ = f"return {SHOWN} ? arguments[0].innerText.trim().replace(/[^\\S\\n]+/g, ' ').replace(/ *\\n\\s*/g, '\\n') : ''"


class Element(WebElement):
    """An element of a page."""

    @property
    def text(self) -> str:
        """The text that somebody can read."""
        return str(self.parent.execute_script(READ, self))

    def is_displayed(self) -> bool:
        """Return whether it is shown."""
        return bool(self.parent.execute_script(f"return {SHOWN}", self))


class Window(Chrome):
    """The driver, with elements of this module."""

    _web_element_cls = Element
