"""Images and labels: embedded digits, CIFAR-10/100, ImageNet, any folder of class folders.

`catalog` says what a dataset is and whether its files are there, without torch; `loading` chooses the images of a run
and reads small ones; `batches` makes normalised, augmented batches that depend on seed, epoch and image alone;
`python -m trainables.data.prepare` writes copies of folders with smaller images.
"""
