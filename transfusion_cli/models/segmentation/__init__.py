"""Segmentation networks: any timm backbone as the encoder under a decoder of our own."""
