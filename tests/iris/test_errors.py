"""The error tree: which errors may go away by themselves, and that every one survives a process border."""

import pickle

import pytest

from airflow_provider_trackunit.iris import errors
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisCheckpointError,
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPaginationError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisResponseError,
    IrisServerError,
    IrisTokenError,
    IrisUnexpectedResponseError,
)

TREE = {
    IrisError: Exception,
    IrisConfigurationError: IrisError,
    IrisTokenError: IrisError,
    IrisNoAnswerError: IrisError,
    IrisResponseError: IrisError,
    IrisBadRequestError: IrisResponseError,
    IrisAuthenticationError: IrisResponseError,
    IrisPermissionError: IrisResponseError,
    IrisNotFoundError: IrisResponseError,
    IrisUnexpectedResponseError: IrisResponseError,
    IrisRateLimitError: IrisResponseError,
    IrisServerError: IrisResponseError,
    IrisPaginationError: IrisError,
    IrisCheckpointError: IrisError,
}
TRANSIENT = {IrisNoAnswerError, IrisRateLimitError, IrisServerError}


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    classes = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, IrisError)}
    assert {one: one.__base__ for one in classes if one in TREE} == TREE
    assert [one.__name__ for one in classes if one.__name__ not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_only_what_may_go_away_by_itself_is_transient(kind: type[IrisError]) -> None:
    assert kind("text").transient is (kind in TRANSIENT)


@pytest.mark.parametrize(
    "error",
    [
        IrisError("text"),
        IrisConfigurationError("text"),
        IrisTokenError("text", code="invalid_grant", status=400),
        IrisNoAnswerError("text", sent=False),
        *(
            kind(
                "text",
                status=418,
                code="constraint_violation",
                message="Constraint violation",
                violations=[("name", "must not be empty")],
                retry_after=7.5,
            )
            for kind in TREE
            if issubclass(kind, IrisResponseError)
        ),
        IrisPaginationError("text"),
        IrisCheckpointError("text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_a_process_border_whole(error: IrisError) -> None:
    error.retry_after = 12.0
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(back) is type(error)
    assert str(back) == "text"
    assert vars(back) == vars(error)
    assert back.retry_after == 12.0


def test_a_request_counts_as_sent_unless_it_is_known_that_it_never_left() -> None:
    assert IrisError("text").sent
    assert IrisNoAnswerError("text").sent
    assert not IrisNoAnswerError("text", sent=False).sent


def test_violations_cannot_be_changed_afterwards() -> None:
    assert IrisBadRequestError("text", violations=[("a", "b")]).violations == (("a", "b"),)
    assert IrisBadRequestError("text").violations == ()
