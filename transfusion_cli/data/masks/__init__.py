"""Images and volumes with masks: cases, patches of them, and the data module that all of those share."""
