"""Networks for volumes: timm's in three dimensions, and those that volumes were published with."""
