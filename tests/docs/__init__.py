"""What the docs say is so: their code runs, their links lead somewhere, the messages they show are those that come."""
