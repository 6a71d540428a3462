"""The service described as OpenAPI 3.1; the options are those of `bigsharp.options`."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_args, get_type_hints

from bigsharp import __version__
from bigsharp.errors import as_line
from bigsharp.io.formats import FORMATS
from bigsharp.io.write import SUBSAMPLINGS, Saving
from bigsharp.options import Options, types_of, word
from bigsharp.restoration.cleaning import Clean
from bigsharp.restoration.models import available_models
from bigsharp.restoration.pipeline import Colour

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}

_ERRORS = {
    400: "The form cannot be read.",
    401: "The token is missing.",
    403: "It comes from another site's page, or calls the service by another name.",
    404: "There is no such job.",
    408: "The request took too long to arrive.",
    409: "The result is not there yet.",
    413: "The request, the picture or the result is too large.",
    415: "It is no form, or no picture of a kind that is read.",
    422: "An option is wrong, the picture damaged, or the format cannot hold it.",
    429: "Too many pictures are waiting.",
    500: "The process that worked on the picture has ended.",
    503: "The service ends, or is busy; its disk is full, or the picture took too long.",
}

_SENDING = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)

Schema = dict[str, Any]


@cache
def description() -> Schema:
    """The whole of it."""
    job = {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}
    accepted = {"description": "The job.", "content": job}
    picture = {"description": "The picture that was made.", "content": {"image/*": {}}}
    paths: Schema = {
        "/v1/upscale": {
            "post": _sends("Enlarge a picture; 202 where that takes long.",
                           {200: picture, 202: accepted}),
        },
        "/v1/jobs": {"post": _sends("Let a picture wait its turn.", {202: accepted})},
        "/v1/jobs/{id}": {
            "parameters": [_ID],
            "get": _does("How a job stands.", {200: accepted}, 401, 403, 404, 503),
            "delete": _does("End a job, and delete its result.", {204: _plain("Gone.")},
                            401, 403, 404, 503),
        },
        "/v1/jobs/{id}/events": {
            "parameters": [_ID],
            "get": _does("The job at each change, as server-sent events, until it has ended.",
                         {200: _plain("Events.", "text/event-stream")}, 401, 403, 404, 503),
        },
        "/v1/jobs/{id}/result": {
            "parameters": [_ID],
            "get": _does("The picture.", {200: picture},
                         401, 403, 404, 409, 413, 415, 422, 500, 503),
        },
        "/v1/models": {
            "get": _does("What `model` takes.", {200: {
                "description": "Names and summaries.",
                "content": {"application/json": {"schema": {
                    "type": "array",
                    "items": _object(name={"type": "string"}, summary={"type": "string"}),
                }}},
            }}, 401, 403, 503),
        },
        "/healthz": {"get": _does("That it is there.", {200: _plain("ok", "text/plain")}, 403)},
        "/metrics": {
            "get": _does("Numbers for Prometheus.", {200: _plain("Metrics.", "text/plain")},
                         401, 403, 503),
        },
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "bigsharp", "version": __version__, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {"Job": _job(), "Error": _object(error={"type": "string"})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _job() -> Schema:
    text = {"type": "string"}
    states = ["queued", "running", "done", "failed", "deleted"]
    return _object(
        id=text,
        state={"enum": states},
        name=text,
        result=text,
        error={"type": ["string", "null"]},
        said={"type": ["string", "null"]},
        progress={"type": "number", "minimum": 0, "maximum": 1},
        command=text,
    )


def _plain(text: str, kind: str | None = None) -> Schema:
    return {"description": text} | ({"content": {kind: {}}} if kind else {})


def _does(summary: str, answers: dict[int, Schema], *errors: int) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    refused = {status: {"description": _ERRORS[status], "content": content} for status in errors}
    responses = {str(status): answer for status, answer in (answers | refused).items()}
    return {"summary": summary, "responses": responses}


def _sends(summary: str, answers: dict[int, Schema]) -> Schema:
    form = {"multipart/form-data": {"schema": _form()}}
    return _does(summary, answers, *_SENDING) | {"requestBody": {"required": True, "content": form}}


def _form() -> Schema:
    depth, _ = get_args(get_type_hints(Saving)["depth"])
    choices = {
        "model": available_models(),
        "format": [entry.extensions[0][1:] for entry in FORMATS],
        "colour": list(get_args(Colour)),
        "clean": list(get_args(Clean)),
        "subsampling": list(SUBSAMPLINGS),
        "depth": list(get_args(depth)),
    }
    types = types_of(Options)
    properties: Schema = {"file": {"type": "string", "format": "binary"}}
    for entry in fields(Options):
        # No file of the service's machine can be named.
        said = "As /v1/models lists them." if entry.name == "model" else entry.metadata["help"]
        schema: Schema = {"type": _TYPES[types[entry.name]], "description": as_line(said)}
        if entry.default is not None:
            schema["default"] = entry.default
        if entry.name in choices:
            schema["enum"] = choices[entry.name]
        properties[word(entry.name)] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": ["file"],
        "additionalProperties": False,
    }
