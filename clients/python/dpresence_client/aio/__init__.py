"""The clients for asyncio: ``async with AppService(..) as app: async for change in app: ..``."""

from __future__ import annotations

from .account import Account
from .appservice import AppService
from .client import OPEN_SECONDS, Client
from .device import Device

__all__ = ["OPEN_SECONDS", "Account", "AppService", "Client", "Device"]
