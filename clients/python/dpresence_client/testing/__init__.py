"""A development service for the tests of a program, with people and applications.

``dpresence_service`` is a pytest fixture: ``pip install "dpresence-client[testing]"`` is all it needs.
"""

from .people import Application, Person
from .service import DevelopmentService

__all__ = ["Application", "DevelopmentService", "Person"]
