"""Programs that measure; each prints what it finds and writes JSON on request."""
