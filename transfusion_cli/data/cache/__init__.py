"""Images that were decoded and resized once."""
