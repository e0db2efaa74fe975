"""OAuth 2.0 for IRIS: the credentials of an account, the two grants, and the keeper of the current token.

What a token is got with belongs here; nothing in here sends, a client does.
"""

from airflow_provider_trackunit.iris.http.tokens.credentials import Credentials
from airflow_provider_trackunit.iris.http.tokens.grants import read_token, token_request
from airflow_provider_trackunit.iris.http.tokens.keeper import Token, TokenKeeper

__all__ = ["Credentials", "Token", "TokenKeeper", "read_token", "token_request"]
