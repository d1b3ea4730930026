"""What asynchronous instructions of a launch do to mbarriers and tensor cores, seen by running one CTA of it."""
