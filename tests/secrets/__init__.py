"""Whatever fails, in whatever mode: no secret, token, Basic header or query is written anywhere."""
