"""Several classifications of one image over one backbone: which digit it shows, whether it is odd, its closed loops."""
