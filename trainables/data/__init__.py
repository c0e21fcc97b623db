"""Images and labels: embedded digits, CIFAR-10/100, ImageNet, any folder of class folders.

`catalog` says what a dataset is and whether its files are there, without torch; `loading` reads it; `batches` turns it
into normalised, augmented batches that depend on the seed, the epoch and the image alone.
"""
