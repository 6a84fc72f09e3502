"""From scores to decisions: calibration and thresholds, fitted on validation alone, and how good they are."""
