"""How well scores of transferability agree with what fine-tuning gave, beside a ranking that never sees the target."""
