"""Settings of Hypothesis for machines that are shared: no test fails because of the time that it takes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

UNTIMED = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
"""The defaults without any limit of time; use ``settings(UNTIMED, ...)`` to change more of them."""
