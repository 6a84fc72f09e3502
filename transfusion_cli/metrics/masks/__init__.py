"""What is measured of one mask against another."""
