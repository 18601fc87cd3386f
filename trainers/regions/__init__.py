"""Training of the Region Support Network (papers/5), which needs regions of stable depth beside each frame."""
