"""Transfer learning for medical images: honest fine-tuning runs from one YAML file."""

__version__ = "0.1.0"
