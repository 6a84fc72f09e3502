"""What all data sets are made of: tables of samples, splits by patient, image reading, augmentation, loading."""
