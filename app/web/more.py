"""What does not fit the tab bar of a phone."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from app.web import navigation
from app.web.rendering import render
from app.web.sessions import login_required

bp = Blueprint("more", __name__)


@bp.get("/more")
@login_required
def index() -> ResponseReturnValue:
    """Every page this person may open, and what the account menu holds."""
    return render("more/index.html", groups=navigation.groups()[1:])
