"""One collection: a page, the walk over its pages, the frontier of many walks, and who fetches them. Stores nothing."""
