"""The page and the HTTP service: a request becomes a `Job` (the extra ``server``)."""
