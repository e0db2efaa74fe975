"""GraphQL: the endpoint with its budget, the document it reads, the objects it answers with."""
