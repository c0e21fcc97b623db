"""What several comparisons say together: variances pooled over cells, and one answer over a grid of them."""
