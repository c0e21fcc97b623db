"""What runs find single test images to be: an answer's interval over images, too, and on which ones arms disagree."""
