"""The operator's view of the service (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import Figures
from ..request import Request
from . import cornice_service, templates
from .pages import page, redirect_to_audience, wants_page
from .validators import operator

admin = cornice_service("admin", "/admin")
admin_figures = cornice_service("admin-figures", "/admin/figures")


@admin.get(validators=(redirect_to_audience, operator))
def get_admin(request: Request) -> Response | Figures:
    """Return the page, which loads the figures itself, or the figures if the client is a program."""
    if not wants_page(request):
        return get_figures(request)
    request.services.operator_metrics.log_access(request.validated["account"].email, opened=True)
    return page(request, templates.Admin())


@admin_figures.get(validators=(operator,))
def get_figures(request: Request) -> Figures:
    """Return the figures of the whole service."""
    figures = request.services.operator_metrics
    figures.log_access(request.validated["account"].email, opened=False)
    return figures.read()
