"""Fashion-MNIST, photos of clothes in the format of MNIST, and harder to tell apart."""
