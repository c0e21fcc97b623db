"""Programs that measure; each prints what it found and writes JSON on request."""
