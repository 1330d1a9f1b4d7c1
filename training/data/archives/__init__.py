"""Images in ZIP and tar archives, read where they lie: nothing is unpacked to disk."""
