"""A feed's alert budget over HTTP: what another one would have meant, and changing it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError, SchemaError
from stream.candidate.comparison import LAST_RECORDS, MAX_LAST_RECORDS, RETRY_AFTER_S
from stream.errors import LogFailure, NotReady, Overloaded, UnknownFeed
from stream.whatif import WhatIf
from web.body import read_body, read_json
from web.contract.declaration import Budget
from web.contract.feed import FeedState
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.site import current_site

blueprint = Blueprint("budget", __name__)


class WhatIfQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?budget=&last=`: the budget that is asked about, on how many of the latest records."""

    budget: Budget
    last: Annotated[int, Meta(ge=1, le=MAX_LAST_RECORDS, description="Records of the log, the latest.")] = (
        LAST_RECORDS
    )


class WhatIfPending(msgspec.Struct, frozen=True):
    """It is being worked out; ask again."""

    state: Literal["running"]
    feed: str
    budget: str


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The budget from here on."""

    budget: Budget


@blueprint.get("/feeds/<feed>/whatif")
@operation(
    query=WhatIfQuery,
    answers={200: WhatIf, 202: WhatIfPending},
    raises=(UnknownFeed, SchemaError, ModelError, Overloaded, NotReady),
)
def what_if(feed: str) -> Response:
    """Say what the latest records would have raised at another budget; 202 while that is worked out."""
    query = read_query(WhatIfQuery)
    found = current_site().runtime.budgets.what_if(feed, query.budget, query.last)
    if found is not None:
        return json_response(found)
    answer = json_response(WhatIfPending("running", feed, query.budget), 202)
    answer.headers["Retry-After"] = str(round(RETRY_AFTER_S))
    return answer


@blueprint.put("/feeds/<feed>/budget")
@operation(
    query=NoQuery,
    body=BudgetBody,
    answers={200: FeedState},
    raises=(UnknownFeed, SchemaError, LogFailure, NotReady),
)
def put_budget(feed: str) -> Response:
    """Let another budget hold from the next record on; what was learnt stays."""
    read_query(NoQuery)
    body = read_json(BudgetBody, read_body())
    runtime = current_site().runtime
    runtime.budgets.change(feed, body.budget)
    return json_response(runtime.feed(feed))
