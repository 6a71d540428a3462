"""The page and the HTTP service: a request becomes a `bigsharp.jobs.Job` (the extra ``server``)."""
