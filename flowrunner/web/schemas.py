"""Schemas that several routes share. Those of one resource stand in its module, beside the views."""

from __future__ import annotations

from marshmallow import EXCLUDE, INCLUDE, Schema, fields


class Body(Schema):
    """What a request holds; members that are not named are passed over."""

    class Meta:
        unknown = EXCLUDE


class Open(Schema):
    """What an answer holds, and may hold more of."""

    class Meta:
        unknown = INCLUDE


class Error(Schema):
    """What went wrong: in words or as a list of places, and as a code that stays the same."""

    detail = fields.Raw(required=True, metadata={"description": "A sentence, or for 422 mostly a list of places."})
    code = fields.String(required=True)
