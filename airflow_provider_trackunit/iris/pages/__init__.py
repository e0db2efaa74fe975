"""One collection: the styles of paging, the walk over its pages, the frontier of many walks. Stores nothing."""
